/** Puts the engine to use that the person and the page have chosen. */

import type { ChosenClient } from './chosenclient';
import type { IClient } from './client';
import { chooseEngine, type Engine, type IPageFacts, type Wanted } from './engine';
import { ServerError } from './trouble';

export class Engines {
  /** `makers` make the client of an engine; none is made before it is needed. */
  constructor(
    private readonly _client: ChosenClient,
    private readonly _page: IPageFacts,
    private readonly _makers: Readonly<Record<Engine, () => Promise<IClient>>>
  ) {}

  /** Use what is wanted; return whether that is another engine than before, or none could be had before. */
  async use(wanted: Wanted): Promise<boolean> {
    if (wanted === this._wanted) {
      return false;
    }
    const hadFailed = this._failed !== null;
    this._wanted = wanted;
    this._failed = null;
    try {
      const engine = await chooseEngine(wanted, this._page);
      const client = await this._make(engine);
      if (wanted !== this._wanted) {
        return false; // somebody wants something else by now
      }
      if (engine === this._engine) {
        return hadFailed;
      }
      const before = this._engine && this._made[this._engine];
      this._engine = engine;
      this._client.use(client);
      (await before)?.leave?.();
      return true;
    } catch (reason) {
      if (wanted !== this._wanted) {
        return false;
      }
      this._wanted = null;
      this._failed = wanted;
      throw reason;
    }
  }

  /** Try again what has failed, if anything has. */
  async retry(): Promise<void> {
    if (this._failed) {
      await this.use(this._failed);
    }
  }

  private _make(engine: Engine): Promise<IClient> {
    return (this._made[engine] ??= this._makers[engine]().catch(() => {
      this._made[engine] = undefined;
      throw new ServerError(
        500,
        'not_loaded',
        'The part of the extension that completes could not be loaded. It is tried again; or reload the page.'
      );
    }));
  }

  private _wanted: Wanted | null = null;
  /** what was wanted and could not be had; null: nothing */
  private _failed: Wanted | null = null;
  private _engine: Engine | null = null;
  private readonly _made: Partial<Record<Engine, Promise<IClient>>> = {};
}
