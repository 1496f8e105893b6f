"""What a cron expression means, in words (unit tests)."""

from __future__ import annotations

import pytest

from jarvis_trio.schedules.cron import CronExpression


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("*/7 * * * *", "at minutes 00, 07, 14 and so on to 56 of every hour"),
        ("5 * * * *", "at minute 05 of every hour"),
        ("5,35,36,37 * * * *", "at minutes 05 and 35 to 37 of every hour"),
        ("@hourly", "every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 1-23/2 * * *", "at 01:00, 03:00, 05:00 and so on to 23:00 every day"),
        ("15 9-17 * * *", "every hour from 09:15 to 17:15"),
        ("*/10 9-17 * * *", "every 10 minutes from 09:00 to 17:50"),
        ("*/10 9,12,15 * * *", "every 10 minutes in the hours 09, 12 and 15"),
        ("3,17 9-17 * * *", "at minutes 03 and 17 in the hours 09 to 17 every day"),
        ("*/10 9 * * *", "at 09:00, 09:10, 09:20, 09:30, 09:40 and 09:50 every day"),
        ("10-20 3 * * *", "every minute from 03:10 to 03:20"),
        ("*/7 3 * * *", "at 03:00, 03:07, 03:14 and so on to 03:56 every day"),
        ("0 9 * * *", "at 09:00 every day"),
        ("30 9,17 * * *", "at 09:30 and 17:30 every day"),
        ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
        ("0 9 * * SAT,SUN", "at 09:00 on Saturday and Sunday"),
        ("0 9 * * 1", "at 09:00 on Tuesday"),
        ("@monthly", "at 00:00 on the 1st of the month"),
        ("30 4 2,3,11,22 * *", "at 04:30 on the 2nd, the 3rd, the 11th and the 22nd of the month"),
        ("0 9 * JUN-AUG *", "at 09:00 every day in June to August"),
        ("*/5 * * JAN *", "every 5 minutes in January"),
        ("0 9 * JUN SAT", "at 09:00 on Saturday in June"),
        ("0 0 12 * *", "at 00:00 on the 12th of the month"),
        ("0 0 1,3,5,7 * *", "at 00:00 on the 1st, the 3rd, the 5th and the 7th of the month"),
        ("0 0 1,3,5,7,9 * *", "at 00:00 on the 1st, the 3rd, the 5th and so on to the 9th of the month"),
        ("0 9 * * SAT,SUN,MON#1", "at 09:00 on Saturday, Sunday and the first Monday of the month"),
        (
            "0 9 13 * SAT,SUN,MON#1",
            "at 09:00 on the 13th of the month, if that is Saturday, Sunday or the first Monday",
        ),
        ("0 0 29 2 *", "at 00:00 on the 29th of February"),
        ("0 0 13 * FRI", "at 00:00 on the 13th of the month, if that is Friday"),
        ("0 9 1-7 JUN SAT,SUN", "at 09:00 on the 1st to the 7th of June, if that is Saturday or Sunday"),
        ("0 0 30 2 *", "at 00:00 on the 30th of February, which never comes"),
    ],
)
def test_says_in_words_what_it_means(expression: str, words: str) -> None:
    assert CronExpression(expression).words() == words
