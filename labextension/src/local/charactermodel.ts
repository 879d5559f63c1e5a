/** A model of characters in WebAssembly, as whoever answers requests asks it. */

import type { Engine } from './engine/engine';
import { write } from './engine/generation';
import type { IHosted } from './enginehost';
import type { IAsk, IToken } from './engineinterface';
import type { CharacterVocabulary } from './vocabulary';

export class CharacterModel implements IHosted {
  readonly contextSize: number;
  readonly vocabulary: CharacterVocabulary;

  /** `pause` lets the messages through that wait for this thread. */
  constructor(
    readonly name: string,
    private readonly _engine: Engine,
    private readonly _pause: () => Promise<void>
  ) {
    this.contextSize = _engine.length;
    this.vocabulary = _engine.vocabulary;
  }

  generate(ask: IAsk, signal: AbortSignal): AsyncGenerator<IToken> {
    return write(this._engine, ask, this._pause, signal);
  }
}
