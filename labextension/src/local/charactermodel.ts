/** A character model in WebAssembly, as whoever answers requests asks it. */

import { Engine } from './engine/engine';
import { newUsage, write } from './engine/generation';
import { STAND_IN } from './engine/vocabulary';
import type { IHosted } from './enginehost';
import type { IAsk, IToken } from './engineinterface';
import type { IVocabularyTold } from './vocabulary';

export class CharacterModel implements IHosted {
  readonly contextSize: number;
  readonly vocabulary: IVocabularyTold;

  /** `pause` lets the messages through that wait for this thread. */
  constructor(
    readonly name: string,
    private readonly _engine: Engine,
    private readonly _pause: () => Promise<void>
  ) {
    const { vocabulary, length } = _engine;
    const { prefix, suffix, middle } = vocabulary.markers;
    const texts = Array.from({ length: vocabulary.size }, (_, token) => vocabulary.decode([token]));
    const [standIn] = vocabulary.encode(STAND_IN);
    this.contextSize = length;
    this.vocabulary = { texts, marks: { prefix, suffix, middle }, standIn };
  }

  async *generate({ prompt, draft, sampling, usage }: IAsk, signal: AbortSignal): AsyncGenerator<IToken> {
    const { maxTokens, temperature, seed, ways, banned } = sampling;
    const begun = performance.now();
    const cost = newUsage();
    const ask = {
      usage: cost,
      prompt,
      most: maxTokens,
      temperature,
      seed,
      ways,
      hint: draft,
      ...(banned === null ? {} : { banned })
    };
    const writing = write(this._engine, ask, this._pause, signal);
    let step = await writing.next();
    const first = performance.now();
    usage.promptMs = first - begun;
    try {
      for (; !step.done; step = await writing.next()) {
        yield { token: step.value.id, probability: step.value.probability };
      }
      signal.throwIfAborted();
    } finally {
      usage.cachedTokens = cost.cached;
      usage.draftedTokens = cost.drafted;
      usage.acceptedTokens = cost.accepted;
      usage.predictedMs = performance.now() - first;
      // Who has enough leaves the loop: the next text waits until this one has ended.
      await writing.return(undefined as never);
    }
  }
}
