"""The command line, from recording play to a report, in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wm_planner.cli.main import app
from wm_planner.data.output import Interrupted
from wm_planner.evaluation.verify.section import Section, Verdict
from wm_planner.evaluation.verify.verify import SECTIONS
from wm_planner.training.split import VALIDATION_EPISODES
from wm_planner.world_model.checkpoint import load_checkpoint

runner = CliRunner()
COMMANDS = [
    "demo",
    "up",
    "collect",
    "record",
    "convert",
    "train",
    "distil",
    "refine",
    "align",
    "calibrate",
    "evaluate",
    "verify",
    "bench",
    "inspect",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output


def test_collect_train_evaluate_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wm_planner.training.uncertainty.STEPS", 2)
    data, more = tmp_path / "play.h5", tmp_path / "more.h5"
    model, report = tmp_path / "m.safetensors", tmp_path / "report.json"
    nominal, late, views, harmless = (tmp_path / f"{name}.h5" for name in ("nominal", "late", "views", "harmless"))
    distilled, refined, aligned = (tmp_path / f"{name}.safetensors" for name in "dra")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "threads: 1\njepa_steps: 2\njepa_batch: 4\npredictor_steps: 2\nrollout_batch: 4\n"
        "critic_steps: 2\npolicy_steps: 2\nheads_batch: 8\ndecoder_steps: 2\n"
        "model: {conv_channels: [8, 8, 8, 8], conv_hidden: 16, latent_dim: 16, predictor_width: 32, head_width: 32}\n"
    )
    (tmp_path / "distil.yaml").write_text("steps: 2\nbatch: 8\npredictor_steps: 2\n")
    (tmp_path / "align.yaml").write_text("steps: 2\nchannels: 8\n")
    (tmp_path / "refine.yaml").write_text("predictor_steps: 2\npredictor_muon_lr: 0.02\n")
    both = ["--data", str(data), "--data", str(more)]
    play = ["collect", "--task", "panda_push", "--steps", "20", "--output"]
    distil = [
        "--views",
        str(views),
        "--harmless",
        str(harmless),
        "--run",
        str(tmp_path / "d"),
        "--config",
        str(tmp_path / "distil.yaml"),
    ]
    train = ["--run", str(tmp_path / "run"), "--config", str(recipe)]
    refine = ["--run", str(tmp_path / "r"), "--config", str(tmp_path / "refine.yaml")]
    align = ["--run", str(tmp_path / "a"), "--config", str(tmp_path / "align.yaml")]
    small = ["--checkpoint", str(model), "--set", "horizon=2", "--set", "solver.samples=4", "--set", "solver.elites=2"]
    work = ["collect", "--task", "panda_push", "--episodes", "2", "--steps", "8", *small[:2]]
    others = ["--other", str(views), "--no-whiten-other"]
    commands = [
        [*play, str(data), "--episodes", "23"],
        [*play, str(more), "--episodes", "22", "--seed", "1"],
        [*play, str(views), "--episodes", "22", "--randomise"],
        [*play, str(harmless), "--episodes", "2", "--harmless"],
        ["train", *both, *train, "--output", str(model)],
        ["evaluate", "--task", "panda_push", "--episodes", "1", "--seed", "5", *small, "--json", str(report)],
        [*work, "--output", str(nominal)],
        [*work, "--output", str(late), "--latency", "2"],
        ["calibrate", "--checkpoint", str(model), "--data", str(nominal), "--data", str(late), *others],
        ["distil", "--checkpoint", str(model), *both, *distil, "--output", str(distilled)],
        ["refine", "--checkpoint", str(distilled), "--data", str(data), *refine, "--output", str(refined)],
        ["align", "--checkpoint", str(refined), "--data", str(data), *align, "--output", str(aligned)],
        ["evaluate", "--task", "panda_push", "--episodes", "1", "--checkpoint", str(aligned), *small[2:]],
        [*play, str(views), "--episodes", "2", "--randomise", "--align-by", str(aligned)],
        ["inspect", str(data)],
        ["inspect", str(aligned)],
    ]
    for command in commands:
        result = runner.invoke(app, command)
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert "panda_push" in result.output
    result = runner.invoke(app, [*play, str(views), "--episodes", "2", "--randomise", "--align-by", str(model)])
    assert result.exit_code == 1 and "does not know how its robot looks" in " ".join(result.output.split())
    facts = load_checkpoint(model).facts
    assert facts["episodes"] == [23 + 22 - 2 * VALIDATION_EPISODES, 20]
    assert facts["surprise"]["source"] == (
        "4 held-out episodes of nominal running, commands up to 0.3 of a step late; uncertainty from 22 others "
        "besides; whitened by nominal running alone"
    )
    assert json.loads(report.read_text())["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["collect", "--task", "panda_dance"], "no task 'panda_dance', expected one of"),
        (
            ["collect", "--task", "panda_push", "--randomise", "--checkpoint", "m"],
            "randomised images are of scripted play, found a checkpoint that is to plan",
        ),
        (
            ["collect", "--task", "panda_push", "--randomise", "--harmless"],
            "found both --randomise and --harmless, expected one; leave one out",
        ),
        (
            ["collect", "--task", "panda_push", "--align-by", "m.safetensors"],
            "m.safetensors is to tell where the camera is, but it moves in randomised images only; leave it out",
        ),
        (["convert", "nowhere", "--contract", "panda_push"], "no bag at nowhere; make one with `wm_planner record`"),
        (["train", "--data", "nowhere.h5"], "no dataset at nowhere.h5"),
        (
            ["distil", "--checkpoint", "m", "--data", "d", "--views", "v", "--run", "r", "--output", "m"],
            "output m is the model that is to be trained further, expected another file",
        ),
        (
            ["refine", "--checkpoint", "r/model.safetensors", "--data", "d", "--run", "r"],
            "output r/model.safetensors is the model that is to be trained further, expected another file",
        ),
        (
            ["calibrate", "--checkpoint", "m", "--data", "d", "--no-whiten-other"],
            "--no-whiten-other is about --other, found none; give --other, or leave both out",
        ),
        (["inspect", "nowhere.safetensors"], "no checkpoint at nowhere.safetensors"),
        (["inspect", "nowhere.yaml"], "no contract file at nowhere.yaml"),
        (
            ["evaluate", "--task", "panda_push", "--checkpoint", "nowhere.safetensors"],
            "no checkpoint at nowhere.safetensors",
        ),
        (["evaluate", "--task", "panda_push", "--policy", "psychic"], "policy is 'psychic', expected one of"),
        (
            ["evaluate", "--task", "panda_reach", "--factor", "object size"],
            "factor is 'object size', expected for panda_reach",
        ),
        (
            ["evaluate", "--task", "panda_push", "--ros", "--factor", "friction"],
            "--ros has no factors but the camera's",
        ),
        (
            ["evaluate", "--task", "panda_push", "--ros", "--workers", "2"],
            "--ros runs one trial at a time, found --workers 2",
        ),
        (
            ["evaluate", "--task", "panda_push", "--json", "/dev/null/report.json"],
            "output /dev/null/report.json cannot be written: ",
        ),
        (["verify", "--task", "panda_push", "--html", "/"], "output / is a folder, expected a file"),
        (
            ["collect", "--task", "panda_push", "--output", "/dev/null/play.h5"],
            "output /dev/null/play.h5 cannot be written: ",
        ),
        (
            ["convert", "bag", "--contract", "panda_push", "--output", "/dev/null/play.h5"],
            "output /dev/null/play.h5 cannot be written: ",
        ),
        (["evaluate", "--task", "panda_push", "--set", "horizon"], "has no '='"),
        (["evaluate", "--task", "panda_push", "--set", "solver.name=magic"], "Input should be 'cem'"),
        (["up", "toaster"], "nodes ['toaster'] do not exist"),
    ],
)
def test_mistakes_are_named_without_a_traceback(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split()), result.output
    assert "Traceback" not in result.output


def test_a_faster_camera_needs_real_time() -> None:
    result = runner.invoke(app, ["evaluate", "--task", "panda_reach", "--episodes", "1", "--camera-rate", "12"])
    assert result.exit_code != 0
    assert "one image per control step, found --camera-rate 12" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("reason", "why", "code"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt", 130),
        (TimeoutError("no ground truth for 20 s"), "TimeoutError: no ground truth for 20 s", 1),
    ],
)
def test_a_report_of_the_trials_before_an_early_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: BaseException, why: str, code: int
) -> None:
    def end(*_: object, **__: object) -> dict:
        raise Interrupted("1 of 3 trials", reason, {"n": 1}) from reason

    monkeypatch.setattr("wm_planner.evaluation.evaluate.evaluate", end)
    path = tmp_path / "report.json"
    result = runner.invoke(app, ["evaluate", "--task", "panda_push", "--episodes", "3", "--json", str(path)])
    assert result.exit_code == code
    assert json.loads(path.read_text()) == {"n": 1, "interrupted": f"ended after 1 of 3 trials: {why}"}
    assert f"error: ended after 1 of 3 trials: {why}" in " ".join(result.output.split())


def test_a_report_of_the_sections_before_an_early_end_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(_: object) -> Section:
        return Section("prediction", "", [Verdict("error", 0.1, 0.2, "<=")])

    def fails(_: object) -> Section:
        raise RuntimeError("no memory left")

    monkeypatch.setitem(SECTIONS, "prediction", measured)
    monkeypatch.setitem(SECTIONS, "state", fails)
    report, html = tmp_path / "report.json", tmp_path / "report.html"
    verify = ["verify", "--task", "panda_reach", "--quick", "--sections", "prediction,state,intervention"]
    result = runner.invoke(app, [*verify, "--json", str(report), "--html", str(html)])
    assert result.exit_code == 1
    said = "ended after 1 of 3 sections, in state: RuntimeError: no memory left"
    assert f"error: {said}" in " ".join(result.output.split())
    written = json.loads(report.read_text())
    assert written["interrupted"] == said and list(written["sections"]) == ["prediction"] and not written["passed"]
    assert said in html.read_text()


@pytest.mark.parametrize(("options", "value"), [([], "false"), (["--use-sim-time"], "true")])
def test_the_recorder_can_run_on_simulated_time(
    monkeypatch: pytest.MonkeyPatch, options: list[str], value: str
) -> None:
    pytest.importorskip("rclpy", reason="no ROS 2: rclpy is not installed")
    given: list[list[str]] = []
    monkeypatch.setattr("wm_planner.ros.recorder_node.main", given.append)
    result = runner.invoke(app, ["record", "--contract", "panda_push", "--output", "bag", *options])
    assert result.exit_code == 0
    assert f"use_sim_time:={value}" in given[0]
