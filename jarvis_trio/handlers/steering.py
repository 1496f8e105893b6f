"""What decides which code runs, beside a program's name: variables and arguments.

A list like this is never complete. It is a second fence: the first is that a person approves
exactly one command, and then no variable can be added to it at all.
"""

from __future__ import annotations

import re
from pathlib import Path


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_STEERING_NAMES = _words(
    # shells, and what programs start by name
    "PATH ENV BASH_ENV BASHOPTS SHELLOPTS CDPATH IFS PS4 GLOBIGNORE PROMPT_COMMAND ZDOTDIR FPATH SHELL HOME",
    "EDITOR VISUAL PAGER MANPAGER BROWSER TERMINFO TERMCAP LESSOPEN LESSCLOSE SSH_ASKPASS SUDO_ASKPASS",
    # the C library, and libraries that load others
    "GCONV_PATH LOCPATH NLSPATH GLIBC_TUNABLES HOSTALIASES RES_OPTIONS RESOLV_HOST_CONF GETCONF_DIR",
    "OPENSSL_CONF OPENSSL_ENGINES OPENSSL_MODULES SSLKEYLOGFILE KRB5_CONFIG SASL_PATH ODBCINI",
    "GIO_EXTRA_MODULES GIO_MODULE_DIR GTK_MODULES GTK_PATH QT_PLUGIN_PATH QT_QPA_PLATFORM_PLUGIN_PATH",
    # interpreters
    "CLASSPATH JAVA_HOME JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS PHPRC PHP_INI_SCAN_DIR",
    "GEM_HOME GEM_PATH TCLLIBPATH TCL_LIBRARY ELIXIR_ERL_OPTIONS VIMINIT EXINIT MYVIMRC EMACSLOADPATH",
    "AWKPATH AWKLIBPATH",
    # tools that read options or other programs' names from there
    "MAKEFLAGS MFLAGS GNUMAKEFLAGS TAR_OPTIONS TAPE CVS_RSH CURL_HOME WGETRC",
    "KUBECONFIG NETRC TEXMFHOME TEXINPUTS VIRTUAL_ENV CONDA_PREFIX SVN_SSH GNUPGHOME INPUTRC PGSYSCONFDIR MYSQL_HOME",
    "MPLCONFIGDIR IPYTHONDIR RIPGREP_CONFIG_PATH",
    # compilers and builders
    "CC CXX CPP LD AR RUSTFLAGS GOFLAGS GOENV GOROOT GOPATH GOTOOLCHAIN GOPROXY",
    "GRADLE_OPTS MAVEN_OPTS MAVEN_ARGS ANT_OPTS SBT_OPTS",
)
_STEERING_BEGINNINGS = tuple(
    _words(
        "LD_ DYLD_ BASH_FUNC_ PYTHON PERL RUBY BUNDLE_ NODE_ NPM_CONFIG_ npm_config_ LUA_ JULIA_ R_ GIT_ HG",
        "DOTNET_ COMPlus_ CORECLR_ ERL_ GUILE_ CARGO_ RUSTC RUSTUP_ PIP_ UV_ AWS_ DOCKER_ ANSIBLE_ BORG_",
        "RESTIC_ GST_ XDG_ SYSTEMD_ COR_ RCLONE_ RSYNC_ TF_ JUPYTER_ DENO_ BUN_ PNPM_ YARN_",
    )
)

_INTERPRETERS = _words(
    "sh bash dash ash ksh mksh zsh fish csh tcsh rbash python pypy perl ruby node nodejs deno bun php lua luajit",
    "tclsh wish expect Rscript R julia guile java osascript awk gawk mawk nawk sed ed ex vi vim nvim emacs gdb",
    "busybox toybox pwsh ghci erl elixir sqlite psql",
)
_WRAPPERS = _words(
    "env sudo doas su runuser xargs find parallel nice nohup timeout time gtime setsid ionice chrt taskset stdbuf",
    "unbuffer script watch flock ssh scp sftp make gmake ninja git tar rsync zip at batch crontab docker podman",
    "kubectl chroot unshare nsenter bwrap firejail strace ltrace run-parts screen tmux npx npm pnpm yarn uv uvx",
    "pip pipx cargo go gcc cc start-stop-daemon systemd-run systemctl launchctl caffeinate open supercronic",
    "chronic dotenv direnv mise asdf op",
)
_VERSION = re.compile(r"[-\d.]+[a-z]?$")


def steering_names(names: list[str]) -> list[str]:
    """Those of the variables that decide what code runs."""
    return [name for name in names if name in _STEERING_NAMES or name.startswith(_STEERING_BEGINNINGS)]


def runs_anything(program: Path) -> str | None:
    """What a program is, if it runs whatever its arguments say: `an interpreter`, for example.

    Returns None for another program. The names of the path and of the file it leads to decide.
    """
    for name in (program.name, program.resolve().name):
        plain = {name, _VERSION.sub("", name)}
        if plain & _INTERPRETERS:
            return "an interpreter"
        if plain & _WRAPPERS or name.startswith(("ld-linux", "ld-musl")):
            return "a program that starts other programs"
    return None
