"""python -m diffusion_lab train: what it writes, how it stops and goes on, and how it refuses."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffusion_lab import __main__ as program
from diffusion_lab import __version__
from diffusion_lab.commands import arguments
from diffusion_lab.commands import sample as sampling
from diffusion_lab.commands import train as command
from diffusion_lab.data import openml
from diffusion_lab.training import loop
from diffusion_lab.training.runs import FILE, alone, read_run
from diffusion_lab.weights.pretrained import load_network, load_pretrained

ROOT = Path(__file__).parents[2]
STEPS = 3
SMALL = ("--steps", str(STEPS), "--batch", "4", "--width", "8", "--device", "cpu")


def train(out, *arguments):
    """The exit status of the command, for a few steps of a small network."""
    return program.main(["train", "--out", str(out), *SMALL, *map(str, arguments)])


def files(folder):
    """{name: content} of all that is in a folder."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@pytest.fixture(scope="module", autouse=True)
def _a_picture_after_each_step():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "DRAW_EVERY", 1)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "whole"  # is made
    assert train(folder) == 0
    return folder


def test_it_writes_one_file_and_samples(whole):
    names = [f"samples-{step:06d}.png" for step in range(1, STEPS + 1)]
    assert [*files(whole)] == [FILE, *names]
    facts = read_run(whole)[1]
    assert (facts["step"], facts["data"], facts["network"]) == (STEPS, "digits", "UNet")
    for name in names:
        picture = Image.open(whole / name)
        picture.load()
        assert picture.width / picture.height == pytest.approx(10 / 4, rel=0.05), "40 digits, ten in a row"


def test_pictures_are_a_hundred_steps_apart_and_at_most_ten(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "DRAW_EVERY", 100)
    monkeypatch.setattr(command, "drawn", lambda *_: None)
    monkeypatch.setattr(command, "picture_of", lambda _: b"png")
    monkeypatch.setattr(command, "save_run", lambda *_: None)
    for steps, expected in ((10, [10]), (230, [100, 200, 230]), (2000, list(range(200, 2001, 200)))):
        out = tmp_path / str(steps)
        out.mkdir()

        def trained(run, *_, steps=steps):
            for run.step in range(1, steps + 1):
                yield loop.Progress(run.step, 0.5, 1.0, 1.0)

        monkeypatch.setattr(loop, "train", trained)
        assert train(out, "--steps", steps) == 0
        assert [*files(out)] == [f"samples-{step:06d}.png" for step in expected]


def test_the_printed_command_draws_with_the_run(tmp_path, capsys, monkeypatch):
    """In a folder called mnist, as the shipped weights are, and in one whose name a shell would take apart."""
    monkeypatch.chdir(tmp_path)
    for folder, shown in (("mnist", "./mnist"), ("a b", "'a b'")):
        assert train(folder) == 0
        told = capsys.readouterr()
        assert f"Look at {folder}/samples-000003.png" in told.out
        assert re.search(r"100%\|.*\| 3/3 \[.*, loss=\d\.\d{3}\]\n$", told.err)
        line = re.search(r"or draw more: (.*)\n", told.out)[1]
        assert line == f"{arguments.command_line()} sample --checkpoint {shown} --out grid.png"
        asked = []

        def noted(name, device, asked=asked):
            asked.append(load_network(name))
            return load_pretrained(name)

        monkeypatch.setattr(sampling, "load_pretrained", noted)
        monkeypatch.setattr(sampling, "drawn", lambda *_, **__: None)
        monkeypatch.setattr(sampling, "picture_of", lambda _: b"")
        assert program.main(shlex.split(line)[3:]) == 0
        assert asked[0].arguments["fine"] == 8, "not the shipped weights"
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_signal_ends_it_with_a_file_and_resume_gives_the_same_files(whole, tmp_path, capsys, monkeypatch, number):
    """The signal comes while the second picture is drawn. At the end: byte for byte the files of the other run."""
    calls, real = [], command.picture_of

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            signal.raise_signal(number)
        return real(*arguments)

    monkeypatch.setattr(command, "picture_of", interrupted)
    assert train(tmp_path) == 128 + number
    told = capsys.readouterr().out
    again = re.search(r"Stopped after step 2; nothing is lost. Go on with: (.*)\n", told)[1]
    assert again == arguments.command_line("train", "--out", str(tmp_path), *SMALL, "--resume")
    assert read_run(tmp_path)[1]["step"] == 2
    assert program.main(shlex.split(again)[3:]) == 0
    assert " 2/3 [" in capsys.readouterr().err, "it begins where it stopped"
    assert files(tmp_path) == files(whole)


WAITING = """
import sys
from diffusion_lab import __main__ as program
from diffusion_lab.commands import train as command

command.DRAW_EVERY = 1
real = command.picture_of

def told(*arguments):
    print("drawing", flush=True)
    sys.stdin.readline()  # until the signal has been sent
    return real(*arguments)

command.picture_of = told
sys.exit(program.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_a_signal_from_outside(whole, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WAITING, "train", "--out", tmp_path / "run", *SMALL], cwd=ROOT,
                               text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "drawing\n"
    process.send_signal(signal.SIGTERM)
    told, progress = process.communicate("go on\n")
    assert process.returncode == 143, progress
    assert "Traceback" not in progress
    assert "Stopped after step 1; nothing is lost." in told
    assert train(tmp_path / "run", "--resume") == 0
    assert files(tmp_path / "run") == files(whole)


def test_what_a_kill_leaves_is_gone_on_with(whole, tmp_path, monkeypatch):
    """At each write and each rename of a run in turn nothing more happens; --resume ends with the same files."""
    class Kill(BaseException):
        pass

    last = 0
    while True:
        out, last = tmp_path / str(last), last + 1
        left, real = iter(range(last)), os.fsync

        def fsync(descriptor, left=left, real=real):
            if next(left, None) is None:
                raise Kill
            real(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            patch.setattr(command, "SAVE_EVERY", -1)  # after each step
            patch.setattr(command, "picture_of", lambda *_: b"png")
            try:
                train(out)
                break
            except Kill:
                pass
            patch.setattr(os, "fsync", real)
            assert train(out, *(["--resume"] if (out / FILE).exists() else [])) == 0
        assert (out / FILE).read_bytes() == (whole / FILE).read_bytes()
        assert [*files(out)] == [*files(whole)]
        assert set(files(out).values()) == {b"png", files(whole)[FILE]}
    assert last > 10


def test_without_a_second_ctrl_c_but_before_there_is_a_run(monkeypatch, tmp_path):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "start", stopped)
    assert train(tmp_path / "run") == 130
    assert not (tmp_path / "run").exists()


@pytest.fixture
def no_training(monkeypatch):
    """What is refused is refused before any work is done."""
    def work(*_):
        raise AssertionError("it began to train")

    monkeypatch.setattr(loop, "train", work)


def refusal(capsys, out, *arguments):
    """The one line by which the command refuses."""
    assert train(out, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert line.startswith("train: ")
    return line


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "words"), [
    (("--steps", 5), "(steps: 3 there, 5 now)"),
    (("--decay", 0.9, "--data", "mnist"), "(data: digits there, mnist now; decay: 0.99 there, 0.9 now)"),
])
def test_a_run_is_not_resumed_with_other_arguments(capsys, whole, arguments, words):
    before = files(whole)
    line = refusal(capsys, whole, "--resume", *arguments)
    assert words in line
    assert str(whole) in line
    assert files(whole) == before


@pytest.mark.usefixtures("no_training")
def test_a_run_is_not_written_over(capsys, whole):
    before = files(whole)
    again = arguments.command_line("train", "--out", str(whole), *SMALL, "--resume")
    assert refusal(capsys, whole).endswith(f"holds a run already. Choose another folder, or go on with it: {again}")
    assert files(whole) == before


@pytest.mark.usefixtures("no_training")
def test_where_there_is_no_run_there_is_nothing_to_resume(capsys, tmp_path):
    assert "holds no run to go on with. Leave out --resume" in refusal(capsys, tmp_path / "new", "--resume")
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_complete_stays_as_it_is(capsys, whole):
    before = files(whole)
    assert train(whole, "--resume") == 0
    assert f"complete already. Look at {whole}/samples-000003.png" in capsys.readouterr().out
    assert files(whole) == before


@pytest.mark.usefixtures("no_training")
def test_a_damaged_run_is_refused(capsys, whole, tmp_path):
    (tmp_path / FILE).write_bytes(files(whole)[FILE][:-9])
    before = files(tmp_path)
    assert f"{tmp_path / FILE} is damaged" in refusal(capsys, tmp_path, "--resume")
    assert files(tmp_path) == before


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("place", [".", "run"], ids=["a file", "below a file"])
def test_a_folder_that_cannot_be_written_to(capsys, tmp_path, place):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    line = refusal(capsys, taken / place)
    assert f"{taken / place} cannot be written to (" in line
    assert "Choose another folder" in line
    assert taken.read_text() == "mine"


def test_a_disk_that_is_full_later_on_leaves_the_run_as_it_was(capsys, monkeypatch, tmp_path):
    real, writes = os.fsync, []

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) > 4:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert train(tmp_path) == 2
    assert "No space left" in capsys.readouterr().err.splitlines()[-1]
    assert read_run(tmp_path)[1]["step"] == 0


def test_weights_that_are_not_finite_are_neither_drawn_nor_saved(capsys, tmp_path):
    """With two steps no later loss tells of them; and the picture blamed the data."""
    assert train(tmp_path, "--lr", 1e30, "--steps", 2) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("train: the training has diverged: ")
    assert read_run(tmp_path)[1]["step"] == 0


def test_a_rate_that_diverges_ends_with_one_line_and_the_last_run(capsys, tmp_path):
    assert train(tmp_path, "--lr", 1e30, "--steps", 100) == 2
    told = capsys.readouterr()
    assert re.match(r"train: the training has diverged: at step [23] ", told.err.splitlines()[-1])
    assert "Trained" not in told.out
    assert read_run(tmp_path)[1]["step"] == 0


@pytest.mark.usefixtures("no_training")
def test_data_that_cannot_be_downloaded(capsys, monkeypatch, tmp_path):
    def unreachable(split):
        raise ConnectionError("MNIST could not be downloaded.")

    monkeypatch.setattr(openml, "load_mnist", unreachable)
    line = refusal(capsys, tmp_path / "run", "--data", "mnist")
    assert line == "train: MNIST could not be downloaded. In this command: --data digits."
    assert not (tmp_path / "run").exists(), "the same command can be given again"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "words"), [
    (("--lr", "nan"), "lr must be a finite number, but got nan"),
    (("--width", "12"), "width must be a whole number, a multiple of 8, at least 8, but got 12"),
    (("--seed", "-1"), "seed must be a whole number from 0 to 4294967295, but got -1"),
    (("--batch", "4001"), "one batch takes 4001 images, but there are only 4000"),
    (("--width", "100000000"), "--width must be at most 512, but got 100000000."),
    (("--batch", "4000", "--width", "64"), "--batch times --width must be at most 131072, which takes 5 GB of memory, "
                                           "but got 4000 × 64."),
])
def test_a_recipe_that_cannot_be(capsys, tmp_path, arguments, words):
    assert words in refusal(capsys, tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_training")
@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a CUDA device")
def test_cuda_where_there_is_none(capsys, tmp_path):
    assert "finds no CUDA device here" in refusal(capsys, tmp_path / "run", "--device", "cuda")
    assert command.device_of("auto") == torch.device("cpu")


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert command.device_of("auto") == command.device_of("cuda") == torch.device("cuda", 0)
    assert command.device_of("cpu") == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert command.device_of("auto") == torch.device("cuda", 1), "one for each process of torchrun"


@pytest.mark.parametrize(("arguments", "words"), [
    ("--steps 0", "train: --steps must be a whole number from 1 to 10¹⁸ - 1, but got 0"),
    ("--data cifar", "train: --data has an invalid choice: 'cifar' (choose from"),
    ("--device tpu", "train: --device has an invalid choice: 'tpu' (choose from"),
    ("--epochs 3", "train: unrecognized arguments: --epochs 3"),
])
def test_words_that_are_no_arguments(capsys, tmp_path, arguments, words):
    with pytest.raises(SystemExit) as ended:
        program.main(["train", "--out", str(tmp_path / "run"), *arguments.split()])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_of_torchrun_and_resume_by_one(tmp_path, whole):
    """They write what one process writes; the numbers of both are compared in tests/training/test_several.py."""
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
                           "diffusion_lab", "train", "--out", tmp_path, *SMALL], cwd=ROOT, capture_output=True,
                          text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Trained.") == 1
    assert [*files(tmp_path)] == [FILE, f"samples-{STEPS:06d}.png"]
    assert read_run(tmp_path)[1] == read_run(whole)[1]
    assert train(tmp_path, "--resume") == 0, "there is nothing left to do, and nothing to refuse"


def test_the_commands_of_the_readme_can_be_given():
    lines = re.findall(r"`[^`\n]*python -m diffusion_lab ([^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {line.split()[0] for line in lines} >= {"train", "sample"}
    for line in lines:
        arguments.parser().parse_args(shlex.split(line))


@pytest.mark.skipif(os.name != "posix", reason="descriptors are of POSIX")
def test_with_closed_streams(tmp_path):
    """Nobody hears what it says; it trains all the same, and no file gets the descriptor of what is closed."""
    words = shlex.join([sys.executable, "-m", "diffusion_lab", "train", "--out", str(tmp_path / "run"), *SMALL])
    done = subprocess.run(["sh", "-c", f"{words} >&- 2>&-"], cwd=ROOT, check=False)
    assert done.returncode == 0
    assert read_run(tmp_path / "run")[1]["step"] == STEPS


def test_usage_is_one_line(capsys):
    for name in ("train", "sample", "judge"):
        with pytest.raises(SystemExit):
            program.main([name, "--help"])
        usage = capsys.readouterr().out.split("\n\n")[0]
        assert usage.startswith(f"usage: {arguments.command_line(name)} ")
        assert "\n" not in usage


DOCTOR = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = None  # neither can be imported
from diffusion_lab.__main__ import main
from diffusion_lab.course import doctor
doctor.report = lambda: print("examined")
sys.exit(main(["doctor"]))
"""


def test_the_doctor_needs_nothing_that_may_be_missing():
    done = subprocess.run([sys.executable, "-c", DOCTOR], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "examined\n"), done.stderr


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {name} " in told for name in ("train", "sample", "judge", "doctor"))
    assert told.startswith(f"usage: {arguments.command_line()} COMMAND")


def test_help_shows_the_defaults_that_there_are(capsys):
    for name in ("train", "sample"):  # judge has none but --data
        with pytest.raises(SystemExit):
            program.main([name, "--help"])
        told = capsys.readouterr().out
        assert "(default: 0)" in told
        assert not re.search(r"default:\s+(None|False|==)", told)


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"Diffusion Lab {__version__}\n"


def test_a_missing_package_names_the_doctor(capsys, monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(arguments, "parser", missing)
    for words in (["--help"], []):
        assert program.main(words) == 2
        assert capsys.readouterr().err.endswith(f"'torch'. The remedy is told by: {arguments.command_line('doctor')}\n")


TORCH = """
import sys
print("importing", flush=True)
try:
    sys.stdin.readline()  # until the signal has come
except KeyboardInterrupt:
    raise ImportError("cannot load module more than once per process")  # as numpy has it
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
def test_ctrl_c_while_the_command_still_imports(tmp_path):
    (tmp_path / "torch.py").write_text(TORCH)
    process = subprocess.Popen([sys.executable, "-m", "diffusion_lab", "sample"], cwd=ROOT, text=True,
                               env=os.environ | {"PYTHONPATH": str(tmp_path)}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == 130


def test_memory_that_is_too_small(capsys, monkeypatch, tmp_path):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(loop, "start", full)
    assert "there is not enough memory for this. Choose a smaller --batch or --width." in refusal(capsys, tmp_path)


@pytest.mark.usefixtures("no_training")
def test_a_second_training_in_the_folder_is_refused(capsys, whole, tmp_path):
    """Whatever stands in the folder, and whether the second one begins or resumes; the files stay as they are."""
    (tmp_path / FILE).write_bytes(files(whole)[FILE])
    for folder, more in ((tmp_path / "new", []), (tmp_path, []), (tmp_path, ["--resume"])):
        with alone(folder):
            before = [*folder.iterdir()]
            line = refusal(capsys, folder, *more)
            assert line.startswith(f"train: another training is at work in {folder}. Wait until it ends")
            assert [*folder.iterdir()] == before
    assert "holds a run already" in refusal(capsys, tmp_path), "afterwards the folder is free"
    assert (tmp_path / FILE).read_bytes() == files(whole)[FILE]


@pytest.mark.usefixtures("no_training")
def test_a_run_that_another_training_has_made_meanwhile_is_not_written_over(capsys, whole, tmp_path, monkeypatch):
    """It begins, and ends, between the first look at the folder and the lock."""
    real = loop.start

    def meanwhile(*arguments, **keywords):
        (tmp_path / FILE).write_bytes(files(whole)[FILE])
        return real(*arguments, **keywords)

    monkeypatch.setattr(loop, "start", meanwhile)
    assert "holds a run already" in refusal(capsys, tmp_path)
    assert files(tmp_path) == {FILE: files(whole)[FILE]}
