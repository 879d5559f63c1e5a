/** Select the engine, on the Jupyter server or in the browser, and forward requests to its client. */

import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';
import { Backoff } from './backoff';
import type { IClient } from './client';
import type { Wanted } from './settings';
import { ResponseError, ServerError } from './requesterror';

/** Milliseconds before the first retry; the delay doubles up to `MAX_RETRY`. */
const FIRST_RETRY = 5000;
const MAX_RETRY = 60_000;
/** The page option that the server extension sets. */
const PAGE_OPTION = 'jupyterTurbopilot';
/** Its value if the page must not run a model. */
const SERVER_ONLY = 'server only';
/** The timeout of the request in milliseconds. */
const TIMEOUT = 10_000;

/** Where completions are computed. */
export type Engine = 'server' | 'browser';

/** Properties of the page that determine the engine. */
export interface IPageProperties {
  /** Whether the server extension has set its page option. */
  readonly marked: boolean;
  /** Whether the administrator restricts suggestions: only the server knows where they are allowed. */
  readonly serverOnly: boolean;
  /** Return whether a Jupyter server responds. */
  hasServer(): Promise<boolean>;
}

/**
 * Select the engine. If a Jupyter server lacks the server extension, do not fall back to the browser silently: a
 * notification explains what is missing and offers the browser.
 */
export async function chooseEngine(wanted: Wanted, page: IPageProperties): Promise<Engine> {
  if (page.serverOnly) {
    return 'server';
  }
  if (wanted !== 'browser' && (page.marked || (await page.hasServer()))) {
    return 'server';
  }
  if (wanted === 'server') {
    throw new ResponseError('no server');
  }
  return 'browser';
}

export function pageProperties(settings: ServerConnection.ISettings): IPageProperties {
  const option = PageConfig.getOption(PAGE_OPTION);
  return {
    marked: option === 'server' || option === SERVER_ONLY,
    serverOnly: option === SERVER_ONLY,
    hasServer: () => hasServer(settings)
  };
}

/**
 * Return whether a Jupyter server responds. A static site has no file or another one at this URL; a 401, 403 or 5xx
 * response comes from a server or a proxy.
 */
async function hasServer(settings: ServerConnection.ISettings): Promise<boolean> {
  const signal = AbortSignal.timeout(TIMEOUT);
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
      throw new ResponseError('timeout'); // undetermined: retried later
    }
    return false;
  }
}

export class Engines {
  /** `makers` create the client of an engine on demand. */
  constructor(
    private readonly _page: IPageProperties,
    private readonly _makers: Readonly<Record<Engine, () => Promise<IClient>>>
  ) {}

  /** Forwards each call to the client of the engine that is in use; until there is one, the calls wait. */
  readonly client = new Proxy({} as IClient, {
    get: (_, method: Exclude<keyof IClient, 'leave'> | 'then') =>
      // `await` would call a method `then`.
      method === 'then'
        ? undefined
        : async (...given: unknown[]): Promise<unknown> => {
            const client = await this._used.promise;
            return (client[method] as (...given: unknown[]) => unknown).apply(client, given);
          }
  });

  /** Use an engine; return whether the engine has changed or was not available before. */
  async use(wanted: Wanted): Promise<boolean> {
    if (wanted === this._wanted) {
      return false;
    }
    const before = this._failed;
    if (before?.wanted !== wanted) {
      this._backoff.reset();
    }
    this._wanted = wanted;
    this._failed = null;
    try {
      const engine = await chooseEngine(wanted, this._page);
      const client = await this._make(engine);
      if (wanted !== this._wanted) {
        return false; // the setting has changed meanwhile
      }
      if (engine === this._engine) {
        return before !== null;
      }
      const left = this._engine && this._made[this._engine];
      this._engine = engine;
      this._used.resolve(client);
      this._used = new PromiseDelegate();
      this._used.resolve(client);
      (await left)?.leave?.();
      return true;
    } catch (reason) {
      if (wanted !== this._wanted) {
        return false;
      }
      this._wanted = null;
      this._failed = { wanted, reason };
      this._backoff.failed();
      throw reason;
    }
  }

  /** Retry an engine that was not available; before its delay has passed, throw the same error. */
  async retry(): Promise<void> {
    if (!this._failed) {
      return;
    }
    if (!this._backoff.isOver) {
      throw this._failed.reason;
    }
    await this.use(this._failed.wanted);
  }

  private _make(engine: Engine): Promise<IClient> {
    return (this._made[engine] ??= this._makers[engine]().catch(() => {
      this._made[engine] = undefined;
      throw new ServerError(
        500,
        'not_loaded',
        'Turbopilot could not load. Retrying… If this persists, reload the page.'
      );
    }));
  }

  private _used = new PromiseDelegate<IClient>();
  private _wanted: Wanted | null = null;
  /** the last engine that was not available */
  private _failed: { wanted: Wanted; reason: unknown } | null = null;
  private readonly _backoff = new Backoff(FIRST_RETRY, MAX_RETRY);
  private _engine: Engine | null = null;
  private readonly _made: Partial<Record<Engine, Promise<IClient>>> = {};
}
