/** The client that completes in a page of JupyterLab or Notebook. */

import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import type { ServiceManager } from '@jupyterlab/services';
import { absolute } from './address';
import { type ILocalOptions, LocalClient } from './client';
import { byBrackets, byGrammar } from './grammar';
import { KernelFacts } from './kernelfacts';
import { parsersOf } from './parsers';

/** The list of models that lies in the extension. */
const CATALOGUE = 'jupyter-turbopilot/static/models.json';
/** A site's configuration may name another list, relative to the site's address. */
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
  const kernels = new KernelFacts(id => services.kernels.connectTo({ model: { id, name: '' } }));
  const judge = languages ? byGrammar(parsersOf(languages)) : byBrackets;
  return new LocalClient({
    // An address that is none is told as one that nothing comes from.
    catalogue: named ? absolute(named, base) || named : shipped,
    connect: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
    sources: request => ({ facts: kernels.of(request.kernel_id), judge }),
    ...hear
  });
}
