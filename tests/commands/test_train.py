"""The train command: what it writes, how it stops and goes on, and how it refuses."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from course import ROOT
from PIL import Image

from diffusion_lab import __main__ as command
from diffusion_lab.training import checkpoint
from diffusion_lab.training.loop import Progress
from diffusion_lab.training.pretrained import load_pretrained

STEPS = 3
PATIENCE = 300  # seconds, for a machine that has much else to do
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are of POSIX")


def train(out, *arguments):
    """Start the command, as a reader does, for a few steps."""
    line = [sys.executable, "-m", "diffusion_lab", "train", "--steps", str(STEPS), "--out", str(out), *arguments]
    return subprocess.Popen(line, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},  # it shares its cores
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def files(folder):
    """{name: content} of all that is in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupts: its folder, and what the command printed to stdout and stderr."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "whole"  # is made
    process = train(folder)
    told, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, progress
    return folder, told, progress


def test_it_writes_a_checkpoint_and_samples(whole):
    folder, told, _ = whole
    names = [f"samples-{step:06d}.png" for step in range(1, STEPS + 1)]
    assert [name for name in files(folder) if not name.startswith("state-")] == ["checkpoint.json", *names]
    assert len(files(folder)) == len(names) + 2
    assert checkpoint.read(folder)[1]["step"] == STEPS
    for name in names:
        picture = Image.open(folder / name)
        picture.load()
        assert picture.width / picture.height == pytest.approx(10 / 4, rel=0.05), "40 digits, ten in a row"
    assert f"Look at {folder / names[-1]}" in told
    assert f"sample --checkpoint {folder} " in told
    x_0_hat = load_pretrained(folder)(torch.zeros(2, 1, 28, 28), 500, 3)
    assert torch.isfinite(x_0_hat).all()


def test_the_progress_shows_loss_and_time_left(whole, capsys, monkeypatch, tmp_path):
    """Of three steps of a second each: after the first, two seconds are left."""
    assert re.search(r"100%\|.*\| 3/3 \[\d\d:\d\d<00:00, .*, loss=\d\.\d{3}\]\n$", whole[2]), whole[2]

    def slow(run, images, labels):
        for run.step in (1, 2, 3):
            time.sleep(1.05)
            yield Progress(run.step, 0.5 / run.step, 1.0, 1.0)

    monkeypatch.setattr(command, "train", slow)
    monkeypatch.setattr(command, "picture_of", lambda *_: b"")
    assert command.main(["train", "--steps", "3", "--out", str(tmp_path / "run")]) == 0
    shown = re.findall(r"training: +\d+%\|.*?\| (\d)/3 \[\d\d:\d\d<\d\d:(\d\d),.*?, loss=(\d\.\d{3})\]",
                       capsys.readouterr().err)
    assert [(step, loss) for step, _, loss in shown if int(step) < 3] == [("1", "0.500"), ("2", "0.250")]
    assert int(shown[0][1]) >= 2
    assert int(shown[1][1]) >= 1


@posix
def test_ctrl_c_ends_with_a_checkpoint_and_resume_gives_the_same_files(whole, tmp_path):
    """Byte for byte the checkpoint and the pictures of the run that nothing interrupted."""
    out = tmp_path / "run"
    process = train(out)
    while process.poll() is None and not (out / "samples-000001.png").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    told, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, progress
    assert "Traceback" not in progress
    stopped = int(re.search(r"Stopped after step (\d+); nothing is lost\..*--resume", told)[1])
    assert 1 <= stopped < STEPS
    assert checkpoint.read(out)[1]["step"] == stopped
    assert files(out) != files(whole[0])
    process = train(out, "--resume")
    told, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, progress
    assert f"{stopped}/{STEPS} [00:00<" in progress, "it begins where it stopped"
    assert files(out) == files(whole[0])


@posix
def test_the_second_ctrl_c_ends_it_at_once(monkeypatch):
    with command.Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.wanted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    def stopped(recipe):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "start", stopped)
    assert command.main(["train", "--out", "nowhere"]) == 130
    assert not Path("nowhere").exists()


KILLED = """
import json, os, random, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
import torch
from diffusion_lab import __main__ as command
from diffusion_lab.networks.unet import UNet
from diffusion_lab.training import checkpoint, loop, resume

@dataclass(frozen=True)
class Small(command.Recipe):
    batch: int = 4

torch.set_num_threads(1)
command.Recipe, command.SAVE_EVERY = Small, 0.0
command.start = resume.start = lambda recipe: loop.start(recipe, lambda: UNet(fine=8, coarse=8, dim=8))
command.picture_of = lambda denoiser, n: denoiser(torch.ones(1, 1, 28, 28), 500, 3).detach().numpy().tobytes()

def child(out, *more):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stdout = open(os.devnull, "w")
        os._exit(command.main(["train", "--steps", "30", "--augment", "0.5", "--out", out, *more]))
    return pid

def ended(pid):
    status = os.waitpid(pid, 0)[1]
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def saved(folder):
    index = Path(folder) / "checkpoint.json"
    return json.loads(index.read_text())["facts"]["step"] if index.exists() else -1

calm, wild = sys.argv[1:]
assert ended(child(calm)) == 0
random.seed(0)
for _ in range(5):
    goal = saved(wild) + random.randint(1, 3)
    pid = child(wild, *(["--resume"] if saved(wild) >= 0 else []))
    while saved(wild) < goal:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.05))
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) is None, "it had ended by itself"
    tensors, facts = checkpoint.read(wild)
    assert goal <= facts["step"] < 30
    print(facts["step"])
assert ended(child(wild, "--resume")) == 0
"""


@posix
def test_kills_at_any_moment_change_nothing_in_the_end(tmp_path):
    """SIGKILL, then --resume, again and again: at last the same files as those of a run that nobody killed.

    A small U-Net, saved at each step, and something short in the place of the pictures: there is much to kill.
    """
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    done = subprocess.run([sys.executable, "-c", KILLED, calm, wild], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    steps = [int(line) for line in done.stdout.split()]
    assert len(steps) == 5
    assert steps == sorted(set(steps)), "it was killed at five different steps"
    assert files(wild) == files(calm)
    samples = sorted(path.name for path in wild.glob("samples-*"))
    assert samples == [f"samples-{step:06d}.png" for step in range(3, 31, 3)]


@pytest.fixture
def no_training(monkeypatch):
    """What is refused is refused before any work is done."""
    def work(*_):
        raise AssertionError("it began to train")

    monkeypatch.setattr(command, "train", work)


def refusal(capsys, *arguments):
    """The one line by which the command refuses."""
    assert command.main(["train", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert line.startswith("train: ")
    return line


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "words"), [
    (("--steps", 5), "(steps: 3 there, 5 now)"),
    (("--seed", 1), "(seed: 0 there, 1 now)"),
    (("--augment", 0.5), "(augment: 0.0 there, 0.5 now)"),
    (("--decay", 0.9, "--data", "mnist"), "(data: digits there, mnist now; decay: 0.99 there, 0.9 now)"),
])
def test_a_run_is_not_resumed_with_other_arguments(capsys, whole, arguments, words):
    before = files(whole[0])
    line = refusal(capsys, "--steps", STEPS, "--out", whole[0], "--resume", *arguments)
    assert words in line
    assert str(whole[0]) in line
    assert files(whole[0]) == before


@pytest.mark.usefixtures("no_training")
def test_a_run_is_not_written_over(capsys, whole):
    before = files(whole[0])
    assert "holds a run already. Go on with it by --resume" in refusal(capsys, "--out", whole[0], "--steps", STEPS)
    assert files(whole[0]) == before


@pytest.mark.usefixtures("no_training")
def test_where_there_is_no_run_there_is_nothing_to_resume(capsys, tmp_path):
    assert "holds no run to go on with. Leave out --resume" in refusal(capsys, "--out", tmp_path / "new", "--resume")
    assert not (tmp_path / "new").exists()


def test_a_run_that_is_complete_stays_as_it_is(capsys, whole):
    before = files(whole[0])
    assert command.main(["train", "--steps", str(STEPS), "--out", str(whole[0]), "--resume"]) == 0
    assert f"Look at {whole[0]}/samples-000003.png" in capsys.readouterr().out
    assert files(whole[0]) == before


def cut_short(folder):
    [state] = folder.glob("state-*")
    state.write_bytes(state.read_bytes()[:-9])


def half_an_index(folder):
    index = folder / "checkpoint.json"
    index.write_bytes(index.read_bytes()[:99])


def weights_gone(folder):
    [state] = folder.glob("state-*")
    state.unlink()


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("damage", "words"), [
    (cut_short, "is damaged"), (half_an_index, "is damaged"), (weights_gone, "is incomplete"),
])
def test_a_damaged_checkpoint_is_refused(capsys, whole, tmp_path, damage, words):
    folder = shutil.copytree(whole[0], tmp_path / "run")
    damage(folder)
    before = files(folder)
    line = refusal(capsys, "--steps", STEPS, "--out", folder, "--resume")
    assert words in line
    assert str(folder) in line
    assert files(folder) == before


def a_file(folder):
    (folder / "taken").write_text("mine")
    return folder / "taken"


def below_a_file(folder):
    return a_file(folder) / "run"


def locked(folder):
    """A folder in which nobody may write, not even the superuser."""
    if os.geteuid() == 0:
        return Path("/proc/run")
    folder.chmod(0o555)
    return folder / "run"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("place", [a_file, below_a_file, pytest.param(locked, marks=posix)])
def test_a_folder_that_cannot_be_written_to(capsys, tmp_path, place):
    out = place(tmp_path)
    line = refusal(capsys, "--out", out)
    assert f"{out} cannot be written to (" in line
    assert "Choose another folder" in line


def test_a_refusal_is_the_exit_status_of_the_process(tmp_path):
    process = train(a_file(tmp_path))
    told, line = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told, len(line.splitlines())) == (2, "", 1)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_disk_that_is_full_later_on(capsys, monkeypatch, tmp_path):
    saves = []

    def save_once(folder, run):
        saves.append(run.step)
        if run.step:
            raise OSError(28, "No space left on device")
        (folder).mkdir()

    monkeypatch.setattr(command, "save_run", save_once)
    monkeypatch.setattr(command, "picture_of", lambda *_: b"")
    assert command.main(["train", "--steps", "1", "--out", str(tmp_path / "run")]) == 2
    assert "No space left" in capsys.readouterr().err.splitlines()[-1]
    assert saves == [0, 1]


@pytest.mark.usefixtures("no_training")
def test_data_that_cannot_be_downloaded(capsys, monkeypatch, tmp_path):
    def unreachable(split):
        raise ConnectionError("MNIST could not be downloaded")

    monkeypatch.setitem(command.DATA, "mnist", unreachable)
    assert "could not be downloaded" in refusal(capsys, "--out", tmp_path / "run", "--data", "mnist")
    assert not (tmp_path / "run").exists(), "the same command can be given again"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("arguments", "words"), [
    (("--augment", "2"), "augment must be a share, from 0 to 1, but got 2.0"),
    (("--augment", "nan"), "augment must be a share, from 0 to 1, but got nan"),
    (("--decay", "-0.1"), "decay must be a number from 0 to 1, but got -0.1"),
    (("--seed", "-1"), "seed must be a whole number from 0 to 4294967295, but got -1"),
    (("--seed", str(2**70)), f"seed must be a whole number from 0 to 4294967295, but got {2**70}"),
])
def test_a_recipe_that_cannot_be(capsys, tmp_path, arguments, words):
    assert words in refusal(capsys, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("arguments", "words"), [
    ("--steps 0", "argument --steps: must be at least 1, but got 0"),
    ("--steps 1.5", "argument --steps: invalid natural value: '1.5'"),
    ("--seed many", "argument --seed: invalid int value: 'many'"),
    ("--data cifar", "argument --data: invalid choice: 'cifar' (choose from"),
    ("--augment much", "argument --augment: invalid float value: 'much'"),
    ("--lr fast", "argument --lr: invalid float value: 'fast'"),
    ("--epochs 3", "unrecognized arguments: --epochs 3"),
])
def test_words_that_are_no_arguments(capsys, tmp_path, arguments, words):
    with pytest.raises(SystemExit) as ended:
        command.main(["train", "--out", str(tmp_path / "run"), *arguments.split()])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_the_folder_is_required(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["train"])
    assert ended.value.code == 2
    assert "required: --out" in capsys.readouterr().err


def test_the_commands_of_the_readme_can_be_given():
    lines = re.findall(r"`[^`\n]*python -m diffusion_lab ([^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {line.split()[0] for line in lines} >= {"train", "sample"}
    for line in lines:
        command.parser().parse_args(shlex.split(line))
