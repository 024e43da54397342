"""What can be checked of deploy/ without a cluster, a registry or a cloud."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import serve

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))


def documents() -> Iterator[tuple[Path, Any]]:
    for path in [*MANIFESTS, DEPLOY / "compose.yaml", *sorted((ROOT / ".github/workflows").glob("*.yml"))]:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield path, document


def the(kind: str) -> Any:
    return next(d for path, d in documents() if "base" in path.parts and d.get("kind") == kind)


def test_every_file_is_yaml_of_a_kind() -> None:
    assert len(list(documents())) >= 12
    for path, document in documents():
        assert isinstance(document, dict), path
        if path in MANIFESTS:
            assert {"apiVersion", "kind"} <= document.keys(), path


def test_every_file_is_listed_by_its_kustomization() -> None:
    for folder in ("base", "aws"):
        path = DEPLOY / "kubernetes" / folder
        listed = yaml.safe_load((path / "kustomization.yaml").read_text(encoding="utf-8"))
        named = {*listed["resources"], *(patch["path"] for patch in listed.get("patches", ()))}
        assert named - {"../base"} == {p.name for p in path.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl is installed")
@pytest.mark.parametrize("folder", ["base", "aws"])
def test_kustomize_builds(folder: str) -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes" / folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unknown command" in built.stderr:
        pytest.skip("this kubectl has no kustomize")
    assert built.returncode == 0, built.stderr
    assert any(d["kind"] == "Deployment" for d in yaml.safe_load_all(built.stdout))


def test_the_arguments_are_those_of_the_command() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    entry = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("ENTRYPOINT ", 1)[1]
    command = yaml.safe_load(entry)
    assert command[:2] == ["qa-extractive", "serve"]
    for path, document in documents():
        if document.get("kind") == "Deployment":
            for container in document["spec"]["template"]["spec"]["containers"]:
                options = parser.parse_args([*command[2:], *container["args"]])
                assert options.port == 8000, path


def test_the_pod_is_locked_down_and_has_its_probes() -> None:
    pod = the("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    paths = {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"/health/ready", "/health/live"}
    assert container["ports"] == [{"name": "http", "containerPort": 8000}]
    drain_s = float(container["args"][container["args"].index("--drain-s") + 1])
    assert pod["terminationGracePeriodSeconds"] > drain_s + 5
    assert container["env"][0]["name"] == serve.API_KEY_VARIABLE
    assert f"- {serve.API_KEY_VARIABLE}" in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


def _every(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        yield from (found for each in value.values() for found in _every(each))
    elif isinstance(value, list):
        yield from (found for each in value for found in _every(each))


def test_no_pod_starts_without_its_key() -> None:
    container = the("Deployment")["spec"]["template"]["spec"]["containers"][0]
    (key,) = (each for each in container["env"] if each["name"] == serve.API_KEY_VARIABLE)
    assert key["valueFrom"]["secretKeyRef"] == {"name": "qa-extractive", "key": "api-key"}
    for path, document in documents():
        for each in _every(document):
            references = [each[name] for name in ("secretKeyRef", "secretRef", "secret") if name in each]
            assert not any(r.get("optional") for r in references if isinstance(r, dict)), path
            if path in MANIFESTS and each.get("name") == serve.API_KEY_VARIABLE:
                assert set(each["valueFrom"]) == {"secretKeyRef"}, f"{path}: a key comes from a secret alone"
    (secret,) = (d for path, d in documents() if d.get("kind") == "ExternalSecret")
    assert secret["spec"]["target"]["name"] == "qa-extractive"
    assert [each["secretKey"] for each in secret["spec"]["data"]] == ["api-key"]


def test_selectors_meet_the_pods() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Service")["spec"]["selector"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert (
        the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]
        == the("Deployment")["metadata"]["name"]
    )


def test_the_terraform_example_says_that_it_was_never_run() -> None:
    example = ROOT / "examples/terraform"
    assert "never run" in (example / "README.md").read_text(encoding="utf-8").splitlines()[0]
    assert not list(DEPLOY.rglob("*.tf"))
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    folders = [line.split(": ")[1] for line in workflow.splitlines() if "working-directory: " in line]
    assert folders
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_the_image_holds_the_serving_install_only() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "requirements-serve.txt" in text
    assert "USER 10001" in text
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    locks = ("deploy/requirements-build.txt", "deploy/requirements-serve.txt")
    for copied in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "qa_extractive", *locks):
        assert f"!{copied}" in ignored
        assert copied in text
