"""The tests mirror the package. This file lists the exceptions."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "jupyter_turbopilot"

# Modules that need a running server, a real checkpoint or a client are tested in another file.
ELSEWHERE = {
    "terminal/commands/command.py": ["test_cli.py"],
    "completer/reply_publisher.py": ["completer/test_completion_job.py", "completer/test_index_lookup.py"],
    "plugins/usage/checks.py": ["plugins/usage/test_command.py"],
    "plugins/remote/settings.py": ["settings/test_config.py", "test_cli.py"],
    "plugins/transformers/hosted_model.py": ["plugins/transformers/test_kind.py"],
    "plugins/transformers/settings.py": ["settings/test_config.py", "plugins/transformers/test_kind.py"],
    "deploy/ray.py": ["scale/test_ray_replica.py"],
    "plugins/ray/app.py": ["scale/test_ray_replica.py"],
    "engine/stepping/kv_cache.py": ["engine/stepping/test_sequences.py"],
    "engine/stepping/run.py": ["engine/stepping/test_engine.py"],
    "index/base.py": ["index/test_reader.py", "index/test_local_files.py"],
    "index/contents.py": ["index/test_build.py", "jupyter/test_contents.py"],
    "protocol/fix.py": ["fixes/test_find.py", "jupyter/routes/test_fixes.py"],
    "fixes/labels.py": ["fixes/test_keys.py"],
    "fixes/argument_rules.py": ["fixes/test_repeats.py"],
    "fixes/changes.py": ["fixes/test_repeats.py"],
    "fixes/patterns.py": ["fixes/test_repeats.py"],
    "fixes/roles.py": ["fixes/test_repeats.py"],
    "fixes/rules.py": ["fixes/test_repeats.py"],
    "fixes/report.py": ["jupyter/kernels/test_conversation.py", "jupyter/kernels/test_probe.py"],
    "protocol/headers.py": ["faults/test_tenants.py", "plugins/remote/test_http_client.py"],
    "protocol/phase.py": ["engine/test_lifecycle.py", "jupyter/test_describe.py"],
    "protocol/contract.py": ["jupyter/routes/test_contract.py"],
    "plugins/convert/config.py": ["plugins/convert/test_checkpoint.py"],
    "plugins/convert/gpt.py": ["plugins/convert/test_families.py"],
    "plugins/convert/llama.py": ["plugins/convert/test_families.py"],
    "plugins/convert/recipe.py": ["plugins/convert/test_families.py", "plugins/convert/test_checkpoint.py"],
    "plugins/convert/source.py": ["plugins/convert/test_repository.py", "faults/test_downloads.py"],
    "plugins/convert/writer.py": ["plugins/convert/test_checkpoint.py", "plugins/convert/test_families.py"],
    "models/entries.py": ["models/test_catalog.py"],
    "models/model.py": ["models/test_catalog.py", "models/test_store.py"],
    "models/tuning/recipe.py": ["models/tuning/test_merge.py"],
    "models/obtain.py": ["plugins/convert/test_repository.py", "faults/test_downloads.py"],
    "models/quantization.py": ["plugins/convert/test_command.py", "models/tuning/test_merge.py"],
    "models/transfer.py": ["faults/test_downloads.py", "models/test_download.py"],
    "plugins/functions/request.py": ["jupyter/routes/test_helpers.py"],
    "plugins/functions/route.py": ["jupyter/routes/test_helpers.py"],
    "plugins/protocols/llamacpp.py": ["clients/test_editors.py", "clients/test_llama_server.py"],
    "plugins/protocols/openai.py": ["clients/test_openai_package.py"],
    "util/parent_process.py": ["faults/test_child.py"],
    "util/sqlite_file/schema.py": ["completer/cache/test_cache_file.py", "index/test_store.py"],
    "suggestion/column_methods.py": ["suggestion/test_candidates.py", "fixes/test_column_renames.py"],
    "suggestion/conventions.py": ["suggestion/test_imports.py"],
}

MODULES = sorted(
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)


def test_every_module_has_a_test_file_of_its_name_or_a_place_where_it_is_tested() -> None:
    own = {module for module in MODULES if (TESTS / module).with_name(f"test_{Path(module).name}").is_file()}
    assert set(MODULES) - own == ELSEWHERE.keys()


def test_the_places_where_modules_are_tested_exist() -> None:
    assert [place for places in ELSEWHERE.values() for place in places if not (TESTS / place).is_file()] == []
