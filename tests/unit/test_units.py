"""Sizes and durations: what users may write, and what people read."""

import pytest

from nni.core import units


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        # NNI's units are powers of 1024, in any case.
        ("4gb", 4096),
        ("4GB", 4096),
        ("1tb", 1024 * 1024),
        ("512mb", 512),
        ("1.5gb", 1536),
        ("4 gb", 4096),
        # Less than a MiB is one.
        ("100kb", 1),
        ("1b", 1),
        # Rounded up: 1.1 GiB are 1126.4 MiB.
        ("1.1gb", 1127),
        # Kubernetes' binary units.
        ("4Gi", 4096),
        ("512Mi", 512),
        ("1048576Ki", 1024),
        ("1Ti", 1024 * 1024),
        ("4GiB", 4096),
        # NNI's page writes '4g'; the lower-case letters are binary.
        ("4g", 4096),
        ("512m", 512),
        ("1024k", 1),
        ("1t", 1024 * 1024),
        # Kubernetes' decimal units, rounded up: 4e9 / 2**20 = 3814.7.
        ("4G", 3815),
        ("512M", 489),
        ("1T", 953675),
        # An int is MiB.
        (4096, 4096),
        (" .5g ", 512),
    ],
)
def test_sizes(written: str | int, mib: int) -> None:
    assert units.parse_size(written) == mib


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("4096", "'4096' has no unit; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("4x", "'4x' has the unknown unit 'x'; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("4gx", "'4gx' has the unknown unit 'gx'; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("much", "'much' is not a size; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("", "'' is not a size; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("-4g", "'-4g' is not a size; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("1g 1m", "'1g 1m' is not a size; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        ("0g", "'0g' is not a size above zero; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
        (0, "0 is not a size above zero; write '4Gi', '4gb', '512Mi' or, in MiB, 4096"),
    ],
)
def test_what_is_no_size(written: str | int, says: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 the words are compared below
        units.parse_size(written)

    assert str(raised.value) == says


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1d", 86400),
        ("1.5h", 5400),
        ("2 D", 172800),
        ("0.1s", 1),
        ("1h30m", 5400),
        (" 1 h 30 min ", 5400),
        ("2d 4h 1m 1s", 187261),
        (3600, 3600),
    ],
)
def test_durations(written: str | int, seconds: int) -> None:
    assert units.parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("10", "'10' has no unit; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("1h30", "'1h30' is not a duration; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("30m1h", "'30m1h' has not its largest unit first; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("1h 2w", "'2w' has the unknown unit 'w'; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("1w", "'1w' has the unknown unit 'w'; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("100ms", "'100ms' has the unknown unit 'ms'; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("0s", "'0s' is not a duration above zero; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
        ("1000001d", "'1000001d' is too long; write 1000000d at most, or nothing for no limit"),
        (10**12, "1000000000000 is too long; write 1000000d at most, or nothing for no limit"),
        (-1, "-1 is not a duration above zero; write '90s', '30m', '1.5h', '2d' or, in seconds, 3600"),
    ],
)
def test_what_is_no_duration(written: str | int, says: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 the words are compared below
        units.parse_duration(written)

    assert str(raised.value) == says


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (59.6, "1m"),
        (125, "2m 5s"),
        (3600, "1h"),
        (12000, "3h 20m"),
        (187200, "2d 4h"),
        # Only the two largest units, and none that is zero.
        (86405, "1d"),
    ],
)
def test_durations_for_people(seconds: float, shown: str) -> None:
    assert units.format_duration(seconds) == shown


@pytest.mark.parametrize(
    ("mib", "shown"),
    [(0.5, "0.5 MiB"), (512, "512 MiB"), (1024, "1 GiB"), (1536, "1.5 GiB"), (4 * 1024 * 1024, "4 TiB")],
)
def test_sizes_for_people(mib: float, shown: str) -> None:
    assert units.format_size(mib) == shown
