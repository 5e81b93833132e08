"""What is installed: by pip, and what colcon and rosdep read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest

import wm_planner
from wm_planner.configurator import paths

ROOT = Path(__file__).resolve().parents[1]
# As tests of the source tree: colcon runs them there, too.
pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="no source tree")


def setup_says(*options: str) -> list[str]:
    """Answers of setup.py, as colcon asks it."""
    command = [sys.executable, "setup.py", "--quiet", *options]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")


@pytest.fixture(scope="module")
def package() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that `pip install .` makes, from a copy: building leaves traces in the tree."""
    pytest.importorskip("setuptools")
    tree, out = tmp_path_factory.mktemp("tree") / "wm_planner", tmp_path_factory.mktemp("out")
    shutil.copytree(ROOT, tree, ignore=_not_for_the_wheel)
    command = [sys.executable, "-c", "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])", str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def _not_for_the_wheel(folder: str, names: list[str]) -> set[str]:
    ours = {"wm_planner", "config", "launch", "resource", "setup.py", "setup.cfg", "pyproject.toml", "package.xml"}
    hidden = {name for name in names if name == "__pycache__"}
    return hidden | (set(names) - ours - {"LICENSE"} if Path(folder) == ROOT else set())


def test_package_xml_and_setup_py_agree(package: ElementTree.Element) -> None:
    name, version, description, licence = setup_says("--name", "--version", "--description", "--license")[:4]
    assert package.findtext("name") == name == paths.PACKAGE
    assert package.findtext("version") == version == wm_planner.__version__
    assert package.findtext("description") == description
    assert package.findtext("license") == licence


def test_package_xml_is_what_colcon_builds(package: ElementTree.Element) -> None:
    assert package.get("format") == "3"
    assert package.findtext("export/build_type") == "ament_python"
    assert package.find("license").get("file") == "LICENSE"  # type: ignore[union-attr]
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_every_ros_package_imported_is_declared(package: ElementTree.Element) -> None:
    pattern = re.compile(r"^\s*(?:from|import) (rclpy|launch(?:_ros)?|\w+_msgs|builtin_interfaces|std_srvs)\b", re.M)
    sources = [*(ROOT / "wm_planner").rglob("*.py"), *(ROOT / "launch").glob("*.py")]
    imported = {name for path in sources for name in pattern.findall(path.read_text())}
    declared = {e.text for e in package.iter("exec_depend")}
    optional = {"control_msgs", "tf2_msgs"}
    assert imported - declared - optional == set()


def test_pyproject_has_no_project_table() -> None:
    """colcon reads setup.py alone and fails on some of what a [project] table may hold."""
    assert not re.search(r"^\[project", (ROOT / "pyproject.toml").read_text(), re.M)


@pytest.mark.parametrize("distribution", ["kilted", "jazzy"])
def test_wheels_of_each_distribution_are_pinned(distribution: str) -> None:
    wanted = set(re.findall(r'^    "(ros-[a-z-]+)",$', (ROOT / "setup.py").read_text(), re.M))
    pinned = re.findall(r"^(ros-[a-z-]+)==[\d.]+$", (ROOT / "requirements" / f"{distribution}.txt").read_text(), re.M)
    assert len(pinned) > 10
    assert set(pinned) == wanted


def test_wheel_holds_what_ros_finds_under_share(wheel: zipfile.ZipFile) -> None:
    names = {name.partition(".data/data/")[2] for name in wheel.namelist() if ".data/data/" in name}
    assert "share/ament_index/resource_index/packages/wm_planner" in names
    assert "share/wm_planner/package.xml" in names
    for folder, pattern in (("config", "*.yaml"), ("launch", "*.launch.py")):
        files = {f"share/wm_planner/{folder}/{path.name}" for path in (ROOT / folder).glob(pattern)}
        assert files and files <= names


def test_wheel_holds_every_module_and_the_checkpoints(wheel: zipfile.ZipFile) -> None:
    sources = [*(ROOT / "wm_planner").rglob("*.py"), *(ROOT / "wm_planner" / "checkpoints").glob("*.safetensors")]
    sources += [*(ROOT / "wm_planner" / "checkpoints").glob("*.md"), ROOT / "wm_planner" / "py.typed"]
    expected = {path.relative_to(ROOT).as_posix() for path in sources}
    assert expected <= set(wheel.namelist())


def test_wheel_holds_no_tests_and_no_data(wheel: zipfile.ZipFile) -> None:
    roots = {name.partition("/")[0] for name in wheel.namelist()}
    assert {root for root in roots if not root.startswith("wm_planner")} == set()


def test_wheel_names_the_executables(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    scripts = dict(line.split(" = ") for line in wheel.read(entry_points).decode().splitlines() if " = " in line)
    assert set(scripts) == {"planner", "sim", "recorder", "wm_planner"}
    for target in scripts.values():
        module = target.partition(":")[0].replace(".", "/") + ".py"
        assert module in wheel.namelist()


@pytest.mark.parametrize(
    "site",
    ["lib/python3.12/site-packages", "lib/python3/dist-packages"],
    ids=["colcon, pip", "apt"],
)
def test_share_is_found_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str) -> None:
    share = tmp_path / "share" / "wm_planner"
    (share / "config").mkdir(parents=True)
    monkeypatch.setattr(paths, "_ROOT", tmp_path / site)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/other")
    assert paths.share_directory() == share


def test_share_is_found_in_a_sourced_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = tmp_path / "share" / "wm_planner"
    (share / "config").mkdir(parents=True)
    monkeypatch.setattr(paths, "_ROOT", tmp_path / "elsewhere")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/kilted:{tmp_path}")
    assert paths.share_directory() == share


def test_missing_share_names_where_it_was_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_ROOT", tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/nowhere")
    with pytest.raises(FileNotFoundError, match=r"/opt/ros/nowhere, .*prefix; reinstall the package"):
        paths.share_directory()


def test_source_tree_wins() -> None:
    assert paths.share_directory() == ROOT
