"""What the doctor says of a machine."""

from node.owner.machine import Device, described, devices

H100 = Device("NVIDIA H100 80GB HBM3", 80 * 2**30, 700.0)
ODD = Device("NVIDIA Quadro P400", 2 * 2**30, 30.0)


def test_a_machine_is_told_in_one_line() -> None:
    text, advice = described("", ())
    assert "cores" in text
    assert "GiB of memory" in text
    assert text.endswith("no GPU seen")
    assert advice == ""
    assert described("l4", ())[0].endswith("no GPU seen, l4 configured")


def test_a_gpu_that_is_seen_and_not_configured_comes_with_what_to_write() -> None:
    text, advice = described("", (H100,))
    assert "NVIDIA H100 80GB HBM3 (80 GiB, 700 W)" in text
    assert 'machine.gpu = "h100-sxm"' in advice
    assert "figures of NVIDIA Quadro P400" in described("", (ODD,))[1]
    assert described("h100-sxm", (H100,)) == (described("", (H100,))[0] + ", priced as h100-sxm", "")


def test_without_a_driver_there_are_no_devices_and_no_error() -> None:
    assert isinstance(devices(), tuple)
