"""Each thing that can be wrong with an environment is found, and its remedy is named."""

from importlib import metadata

import pytest

from diffusion_lab import doctor


def test_this_environment_is_well():
    assert [finding for finding in doctor.check() if not finding.ok and "core" not in finding.found] == []


def test_old_python():
    finding = doctor.python_version((3, 10, 2))
    assert not finding.ok
    assert finding.found == "Python 3.10"
    assert "3.11 or newer" in finding.remedy


def version_of(versions):
    def look_up(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    return look_up


def test_missing_and_old_packages():
    requires = ["torch>=2.4", "numpy>=2.0", "ipywidgets>=8.1", 'pytest>=8; extra == "dev"']
    findings = doctor.packages(requires, version_of({"torch": "2.13.0+cpu", "numpy": "1.26.4"}))
    assert [finding.ok for finding in findings] == [True, False, False]
    assert "numpy>=2.0" in findings[1].remedy
    assert findings[2].found == "ipywidgets is missing"
    assert "make lab" in findings[2].remedy


def test_the_course_itself_not_installed(monkeypatch):
    monkeypatch.setattr(metadata, "requires", version_of({}))
    (finding,) = doctor.packages()
    assert not finding.ok
    assert "not installed" in finding.found


def test_kernel_of_another_environment(tmp_path):
    (tmp_path / ".venv").mkdir()
    assert doctor.kernel(tmp_path / ".venv", tmp_path).ok
    other = doctor.kernel("/usr", tmp_path)
    assert not other.ok
    assert "Change Kernel" in other.remedy


def test_without_an_environment_of_its_own_any_kernel_will_do(tmp_path):
    assert doctor.kernel("/usr", tmp_path).ok


@pytest.mark.parametrize(("count", "ok", "found"), [(1, False, "1 core"), (2, True, "2 cores")])
def test_cores(count, ok, found):
    finding = doctor.cores(count)
    assert (finding.ok, finding.found) == (ok, found)


def test_little_memory():
    finding = doctor.memory(0.9e9)
    assert not finding.ok
    assert finding.found == "0.9 GB of memory free"
    assert "Shut Down All Kernels" in finding.remedy


def test_report_names_remedies_and_only_those(capsys):
    doctor.report([doctor.Finding(True, "Python 3.12", "unused"), doctor.Finding(False, "1 core", "Be patient.")])
    printed = capsys.readouterr().out
    assert "unused" not in printed
    assert printed.splitlines() == ["ok Python 3.12", "-> 1 core", "   Be patient.",
                                    "Mend the lines marked -> from top to bottom."]
    doctor.report([doctor.Finding(True, "Python 3.12")])
    assert capsys.readouterr().out.endswith("All is well.\n")
