/** Puts the engine to use that the person and the page have chosen. */

import type { ChosenClient } from './chosenclient';
import type { IClient } from './client';
import { chooseEngine, type Engine, type IPageFacts, type Wanted } from './engine';

export class Engines {
  /** `makers` make the client of an engine; none is made before it is needed. */
  constructor(
    private readonly _client: ChosenClient,
    private readonly _page: IPageFacts,
    private readonly _makers: Readonly<Record<Engine, () => Promise<IClient>>>
  ) {}

  /** Use what is wanted; return whether that is another engine than before. */
  async use(wanted: Wanted): Promise<boolean> {
    if (wanted === this._wanted) {
      return false;
    }
    this._wanted = wanted;
    const engine = await chooseEngine(wanted, this._page);
    if (wanted !== this._wanted || engine === this._engine) {
      return false; // somebody wants something else by now
    }
    this._engine = engine;
    this._client.use(await (this._made[engine] ??= this._makers[engine]()));
    return true;
  }

  private _wanted: Wanted | null = null;
  private _engine: Engine | null = null;
  private readonly _made: Partial<Record<Engine, Promise<IClient>>> = {};
}
