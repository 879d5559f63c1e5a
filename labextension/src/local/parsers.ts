/** The grammars that the page's editors have. */

import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { NodeSet, Parser } from '@lezer/common';

/**
 * Find the parser of a language that knows faults; the older modes of editors know none. One that is not loaded yet
 * is none until it is: nobody waits for it.
 */
export function parsersOf(
  languages: Pick<IEditorLanguageRegistry, 'findByName' | 'getLanguage'>
): (language: string) => Parser | null {
  const asked = new Set<string>();
  return name => {
    const language = languages.findByName(name);
    if (language && !language.support && !asked.has(name)) {
      asked.add(name);
      languages.getLanguage(name).catch(() => asked.delete(name));
    }
    const parser: (Parser & { nodeSet?: NodeSet }) | undefined = language?.support?.language.parser;
    return parser?.nodeSet?.types.some(({ isError }) => isError) ? parser : null;
  };
}
