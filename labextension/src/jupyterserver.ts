/** What a page knows of the server that it came from. */

import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { IPageFacts } from './engine';
import { AnswerError } from './trouble';

/** The option that our server extension puts into a page's configuration. */
const MARK = 'jupyterTurbopilot';

/** Milliseconds after which the request counts as failed: a connection may hang without an error. */
const LONGEST = 10_000;

export function pageFacts(settings: ServerConnection.ISettings): IPageFacts {
  return {
    marked: PageConfig.getOption(MARK) === 'server',
    hasServer: () => hasServer(settings)
  };
}

/**
 * Whether a Jupyter server answers; a static site has nothing at this address, or a page of its own. What fails there
 * (5xx), or stands before it, is no static site.
 */
async function hasServer(settings: ServerConnection.ISettings): Promise<boolean> {
  const signal = AbortSignal.timeout(LONGEST);
  try {
    const address = URLExt.join(settings.baseUrl, 'api');
    const response = await ServerConnection.makeRequest(address, { cache: 'no-cache', signal }, settings);
    if (response.status === 401 || response.status === 403 || response.status >= 500) {
      return true;
    }
    const answer = response.ok ? ((await response.json()) as { version?: unknown } | null) : null;
    return typeof answer?.version === 'string';
  } catch {
    if (signal.aborted) {
      throw new AnswerError('silent'); // neither is known: it is asked again later
    }
    return false;
  }
}
