"""Check deploy/rayservice.yaml against KubeRay's own schema: python scripts/validate_kuberay.py CRD.yaml.

CRD.yaml is helm-chart/kuberay-operator/crds/ray.io_rayservices.yaml of github.com/ray-project/kuberay. Fields
that the schema does not know are refused, too: Kubernetes would drop them without a word.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

MANIFEST = Path(__file__).resolve().parent.parent / "deploy" / "rayservice.yaml"


def closed(schema: Any) -> Any:
    """Return a schema that refuses fields which it does not know."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(part) for name, part in schema.items()}
    open_already = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_already:
        made["additionalProperties"] = False
    return made


def main() -> None:
    """Check, and say against which version."""
    crd = yaml.safe_load(Path(sys.argv[1]).read_text("utf-8"))
    kinds = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}
    service = kinds["RayService"]
    wanted = service["apiVersion"].rpartition("/")[2]
    (version,) = (version for version in crd["spec"]["versions"] if version["name"] == wanted)
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(service, schema)
    print(f"{MANIFEST.name} is a {service['kind']} {wanted}.")


if __name__ == "__main__":
    main()
