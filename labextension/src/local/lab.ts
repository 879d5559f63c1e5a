/** Creates the client of the browser engine for JupyterLab and Notebook. */

import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import type { ServiceManager } from '@jupyterlab/services';
import type { NodeSet, Parser } from '@lezer/common';
import { absolute } from './address';
import { type ILocalOptions, LocalClient } from './client';
import { byBrackets, byGrammar } from './grammar';
import { KernelContexts } from './kernelcontext';

/** The list of models in the extension. */
const CATALOGUE = 'jupyter-turbopilot/static/models.json';
/** The page option with the URL of another list, relative to the site. */
const OPTION = 'turbopilotModels';

export function localClient(
  services: ServiceManager.IManager,
  languages: IEditorLanguageRegistry | null,
  preferred: string,
  hear: Pick<ILocalOptions, 'progress' | 'opened'>
): LocalClient {
  const extensions = PageConfig.getOption('fullLabextensionsUrl') || PageConfig.getOption('labextensionsUrl');
  const named = preferred || PageConfig.getOption(OPTION);
  const base = absolute(PageConfig.getBaseUrl(), document.baseURI);
  const shipped = absolute(URLExt.join(extensions, CATALOGUE), document.baseURI);
  const kernels = new KernelContexts(id => services.kernels.connectTo({ model: { id, name: '' } }));
  const judge = languages ? byGrammar(parsersOf(languages)) : byBrackets;
  return new LocalClient({
    // An invalid URL is reported as one that cannot be downloaded.
    catalogue: named ? absolute(named, base) || named : shipped,
    connect: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
    sources: request => ({ facts: kernels.of(request.kernel_id), judge }),
    ...hear
  });
}

/**
 * Return a function that finds a language's parser with error nodes; legacy modes have none. It returns null until the
 * parser is loaded.
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
