"""The tests mirror the package. This file lists the exceptions."""

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "jupyter_turbopilot"

# Modules that need a running server, a real checkpoint or a client are tested in another file.
ELSEWHERE = {
    "terminal/commands/command.py": ["test_cli.py"],
    "completer/shared.py": ["completer/test_text_generator.py"],
    "plugins/remote/settings.py": ["settings/test_config.py", "test_cli.py"],
    "plugins/transformers/settings.py": ["settings/test_config.py", "plugins/transformers/test_kind.py"],
    "engine/stepping/kv_cache.py": ["engine/stepping/test_sequences.py"],
    "engine/stepping/run.py": ["engine/stepping/test_engine.py"],
    "index/base.py": ["index/test_reader.py", "index/test_local_files.py"],
    "protocol/fix.py": ["fixes/test_find.py", "jupyter/routes/test_fixes.py"],
    "fixes/labels.py": ["fixes/test_keys.py"],
    "fixes/effects.py": ["fixes/test_check.py"],
    "fixes/argument_rules.py": ["fixes/test_repeats.py"],
    "fixes/changes.py": ["fixes/test_repeats.py"],
    "fixes/patterns.py": ["fixes/test_repeats.py"],
    "fixes/roles.py": ["fixes/test_repeats.py"],
    "fixes/rules.py": ["fixes/test_repeats.py"],
    "fixes/report.py": ["jupyter/kernels/test_conversation.py", "jupyter/kernels/test_probe.py"],
    "protocol/phase.py": ["engine/test_lifecycle.py", "jupyter/test_describe.py"],
    "protocol/contract.py": ["jupyter/routes/test_contract.py"],
    "models/checkpoint.py": ["plugins/convert/test_checkpoint.py"],
    "models/checkpoint_config.py": ["plugins/convert/test_checkpoint.py"],
    "plugins/convert/conversion.py": ["plugins/convert/test_checkpoint.py"],
    "plugins/convert/gpt.py": ["plugins/convert/test_families.py"],
    "plugins/convert/llama.py": ["plugins/convert/test_families.py"],
    "plugins/convert/recipe.py": ["plugins/convert/test_families.py", "plugins/convert/test_checkpoint.py"],
    "plugins/convert/writer.py": ["plugins/convert/test_checkpoint.py", "plugins/convert/test_families.py"],
    "models/entries.py": ["models/test_catalog.py"],
    "models/model.py": ["models/test_catalog.py", "models/test_store.py"],
    "models/user_cache.py": ["terminal/commands/test_removing.py"],
    "models/tuning/recipe.py": ["models/tuning/test_merge.py"],
    "models/transfer.py": ["faults/test_downloads.py", "models/test_download.py"],
    "jupyter/routes/streams.py": ["jupyter/routes/test_base.py"],
    "plugins/functions/request.py": ["jupyter/routes/test_helpers.py"],
    "plugins/functions/route.py": ["jupyter/routes/test_helpers.py"],
    "plugins/protocols/llamacpp.py": ["clients/test_editors.py", "clients/test_llama_server.py"],
    "plugins/protocols/openai.py": ["clients/test_openai_package.py"],
    "suggestion/column_methods.py": ["suggestion/test_candidates.py", "fixes/test_column_renames.py"],
    "suggestion/conventions.py": ["suggestion/test_imports.py"],
    "suggestion/statements.py": ["suggestion/test_candidates.py"],
}

MODULES = sorted(
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)


def test_every_module_has_a_test_file_or_a_listed_place_of_tests() -> None:
    own = {module for module in MODULES if (TESTS / module).with_name(f"test_{Path(module).name}").is_file()}
    assert set(MODULES) - own == ELSEWHERE.keys()


def test_the_places_where_modules_are_tested_exist() -> None:
    assert [place for places in ELSEWHERE.values() for place in places if not (TESTS / place).is_file()] == []
