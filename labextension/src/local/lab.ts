/** Creates the client of the browser engine for JupyterLab and Notebook. */

import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { absolute } from './address';
import { type ILocalOptions, LocalClient } from './client';

/** The list of models in the extension. */
const CATALOGUE = 'jupyter-turbopilot/static/models.json';
/** The page option with the URL of another list, relative to the site. */
const OPTION = 'turbopilotModels';

export function localClient(hear: Pick<ILocalOptions, 'progress' | 'opened'>): LocalClient {
  const extensions = PageConfig.getOption('fullLabextensionsUrl') || PageConfig.getOption('labextensionsUrl');
  const named = PageConfig.getOption(OPTION);
  const base = absolute(PageConfig.getBaseUrl(), document.baseURI);
  const shipped = absolute(URLExt.join(extensions, CATALOGUE), document.baseURI);
  return new LocalClient({
    // An invalid URL is reported as one that cannot be downloaded.
    catalogue: named ? absolute(named, base) || named : shipped,
    connect: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
    ...hear
  });
}
