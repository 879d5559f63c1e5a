"""The tests mirror the package, or this file says where a module is tested."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "jupyter_turbopilot"

# What needs a running server, a real checkpoint or a client is tested where there is one.
ELSEWHERE = {
    "commands/command.py": ["test_cli.py"],
    "commands/size_sources.py": ["commands/test_size.py"],
    "config.py": ["test_cli.py", "test_scripts.py"],
    "deploy/ray.py": ["scale/test_ray_replica.py"],
    "engine/table_vocabulary.py": ["engine/test_slices.py", "engine/transformers/test_vocabulary.py"],
    "engine/vocabulary.py": ["engine/test_code_points.py", "engine/llama/test_vocabulary.py"],
    "engine/batch_sizes.py": ["engine/test_stepping.py", "engine/load/test_plan.py"],
    "engine/base.py": ["engine/test_step_loop.py", "engine/test_stepping.py"],
    "engine/moves.py": ["engine/test_sequences.py"],
    "engine/transformers/sizes.py": ["engine/transformers/test_checkpoint.py"],
    "running/parent.py": ["faults/test_child.py"],
    "engine/moves.py": ["engine/test_sequences.py"],
    "hierarchy/event.py": ["hierarchy/test_growth.py", "hierarchy/test_tree.py"],
    "hierarchy/parsing.py": ["hierarchy/test_body.py"],
    "hierarchy/question.py": ["hierarchy/test_growth.py", "hierarchy/test_follow.py"],
    "memory/base.py": ["memory/test_kept.py"],
    "memory/contents.py": ["memory/test_build.py", "server/test_contents.py"],
    "memory/source.py": ["memory/test_local_files.py"],
    "hierarchy/event.py": ["hierarchy/test_growth.py", "hierarchy/test_tree.py"],
    "hierarchy/parsing.py": ["hierarchy/test_body.py"],
    "hierarchy/question.py": ["hierarchy/test_growth.py", "hierarchy/test_follow.py"],
    "memory/base.py": ["memory/test_reader.py", "memory/test_local_files.py"],
    "memory/contents.py": ["memory/test_build.py", "server/test_contents.py"],
    "models/convert/bigcode.py": ["models/convert/test_families.py"],
    "models/convert/config.py": ["models/convert/test_checkpoint.py"],
    "models/convert/gpt.py": ["models/convert/test_families.py"],
    "models/convert/llama.py": ["models/convert/test_families.py"],
    "models/convert/recipe.py": ["models/convert/test_families.py", "models/convert/test_checkpoint.py"],
    "models/convert/writer.py": ["models/convert/test_checkpoint.py", "models/convert/test_families.py"],
    "models/entries.py": ["models/test_catalog.py"],
    "models/model.py": ["models/test_catalog.py", "models/test_store.py"],
    "models/obtain.py": ["models/test_repository.py", "faults/test_downloads.py"],
    "models/quantization.py": ["commands/models/test_convert.py", "models/tuning/test_fold.py"],
    "models/transfer.py": ["faults/test_downloads.py", "models/test_download.py"],
    "models/tuning/rewrite.py": ["models/tuning/test_fold.py"],
    "raw_request.py": ["completer/test_raw_task.py"],
    "server/routes/about.py": ["clients/test_about.py"],
    "server/routes/copilot.py": ["clients/test_copilot.py"],
    "server/routes/llamacpp.py": ["clients/test_editors.py", "clients/test_llama_server.py"],
    "server/routes/openai.py": ["clients/test_openai_package.py"],
    "sqlite_file/schema.py": ["completer/test_results_file.py", "memory/test_store.py"],
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
