class AgentRegistry:
    def __init__(self, configs_dir):
        self.names = sorted(path.stem for path in configs_dir.glob("*.yaml"))
