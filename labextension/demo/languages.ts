/** The languages of the page. Their grammars highlight the text and are loaded on demand. */

import { type LanguageSupport, StreamLanguage, type StreamParser } from '@codemirror/language';
import type { Extension } from '@codemirror/state';

export interface ILanguage {
  name: string;
  /** the display name */
  label: string;
  path: string;
  /** what a line is indented by */
  indent: string;
  load(): Promise<Extension>;
}

const legacy = (parser: StreamParser<unknown>): Extension => StreamLanguage.define(parser);

function language(
  name: string,
  label: string,
  path: string,
  load: () => Promise<Extension | LanguageSupport>,
  indent = '    '
): ILanguage {
  return { name, label, path, load, indent };
}

export const LANGUAGES: readonly ILanguage[] = [
  language('python', 'Python', 'page.py', async () => (await import('@codemirror/lang-python')).python()),
  language('c', 'C', 'page.c', async () => (await import('@codemirror/lang-cpp')).cpp()),
  language('cpp', 'C++', 'page.cpp', async () => (await import('@codemirror/lang-cpp')).cpp()),
  language(
    'go',
    'Go',
    'page.go',
    async () => legacy((await import('@codemirror/legacy-modes/mode/go')).go),
    '\t'
  ),
  language('java', 'Java', 'Page.java', async () => (await import('@codemirror/lang-java')).java()),
  language(
    'javascript',
    'JavaScript',
    'page.js',
    async () => (await import('@codemirror/lang-javascript')).javascript(),
    '  '
  ),
  language('kotlin', 'Kotlin', 'Page.kt', async () =>
    legacy((await import('@codemirror/legacy-modes/mode/clike')).kotlin)
  ),
  language('php', 'PHP', 'page.php', async () => (await import('@codemirror/lang-php')).php({ plain: true })),
  language(
    'ruby',
    'Ruby',
    'page.rb',
    async () => legacy((await import('@codemirror/legacy-modes/mode/ruby')).ruby),
    '  '
  ),
  language('rust', 'Rust', 'page.rs', async () => (await import('@codemirror/lang-rust')).rust()),
  language(
    'typescript',
    'TypeScript',
    'page.ts',
    async () => (await import('@codemirror/lang-javascript')).javascript({ typescript: true }),
    '  '
  )
];
