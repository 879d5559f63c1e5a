/** A model in wllama, llama.cpp's server in WebAssembly. This module is loaded where such a model is chosen. */

import { LoggerWithoutDebug, Wllama, WllamaRuntimeError } from '@wllama/wllama/esm/index.js';
import { ServerError } from '../../trouble';
import type { IHosted } from '../enginehost';
import type { IAsk, IToken } from '../engineinterface';
import { CodePoints } from '../vocabulary';
import { agrees, grammarOf } from './beginning';
import { lackOf, thisBrowser } from './browser';
import { Pace } from './pace';
import { Spelling } from './prompt';
import { HEADER, specialsOf } from './specials';

/** Tokens that prompt and text may have together; a text has a quarter of them at most. */
const LENGTH = 4096;
const SPARE = 8; // tokens that a vocabulary may add by itself
/** So many tokens of a prompt are read at a time: in between it can be stopped. */
const BATCH = 16;
/** What the speed is measured with. */
const SAMPLE =
  'import numpy as np\nimport pandas as pd\n\ndf = pd.read_csv("data.csv")\nfor i in range(10):\n';
const SAMPLE_TOKENS = 8;

const nothing = (): void => undefined;
// Its log would say what was typed.
const SILENT = { ...LoggerWithoutDebug, log: nothing, warn: nothing, error: nothing };

/** What wllama tells of a text, as far as it is used here. */
interface IChunk {
  choices?: { text: string; logprobs: { content?: { logprob: number }[] | null } | null }[];
  timings?: ITimings;
}

interface ITimings {
  cache_n: number;
  prompt_n: number;
  prompt_ms: number;
  predicted_n: number;
  predicted_ms: number;
}

export class WllamaModel implements IHosted {
  readonly vocabulary: CodePoints;

  private constructor(
    readonly name: string,
    private readonly _start: () => Promise<Wllama>,
    private readonly _spelling: Spelling,
    fills: boolean
  ) {
    this.vocabulary = new CodePoints(fills);
  }

  /** Load a model from its file; `engine` is wllama's WebAssembly. */
  static async open(name: string, file: Blob, engine: Blob): Promise<WllamaModel> {
    const lack = lackOf(thisBrowser());
    if (lack) {
      throw new ServerError(500, 'no_engine', lack);
    }
    const header = new Uint8Array(await file.slice(0, HEADER).arrayBuffer());
    const specials = specialsOf(header);
    const address = URL.createObjectURL(engine);
    const start = () => started(file, address);
    const model = new WllamaModel(name, start, new Spelling(specials), specials.marks !== null);
    await model._running();
    await model._measure();
    return model;
  }

  get contextSize(): number {
    return Math.min(this._length, this._pace.contextSize);
  }

  get onDemand(): boolean {
    return this._pace.onDemand;
  }

  /** Write a text; `alive` is called whenever a batch of its prompt was read. */
  async *generate(
    { prompt: tokens, sampling, usage }: IAsk,
    signal: AbortSignal,
    alive: () => void
  ): AsyncGenerator<IToken> {
    const { maxTokens, temperature, seed } = sampling;
    const room = this._length - SPARE - Math.min(maxTokens, this._length >> 2);
    const spelt = this._spelling.prompt(tokens, room);
    if (!spelt) {
      return;
    }
    const { prompt, typed } = spelt;
    const textOf = (way: readonly number[]): string => way.map(token => this.vocabulary.text(token)).join('');
    const ways = sampling.ways.map(textOf);
    const banned = sampling.banned === null ? '' : this.vocabulary.text(sampling.banned);
    const grammar = grammarOf({ typed, ways, banned });
    const stop = new AbortController();
    const chunks: IChunk[] = [];
    let wake = nothing;
    let ended = false;
    const wllama = await this._running();
    const writing = wllama
      .createCompletion({
        prompt,
        max_tokens: maxTokens && maxTokens + typed.length,
        temperature,
        seed,
        logprobs: 1,
        stream: true,
        return_progress: true,
        abortSignal: AbortSignal.any([signal, stop.signal]),
        onData: (chunk: IChunk) => {
          chunks.push(chunk);
          wake();
        },
        ...(grammar ? { grammar } : {}),
        ...TIMED
      })
      .catch((reason: unknown) => {
        if (reason instanceof WllamaRuntimeError) {
          this._gone();
        }
        throw reason;
      })
      .finally(() => {
        ended = true;
        wake();
      });
    writing.catch(nothing); // who has left does not hear of it
    let left = maxTokens;
    let owed = Array.from(typed); // what was typed is not written again
    let text = '';
    try {
      for (;;) {
        const chunk = chunks.shift();
        if (!chunk && ended) {
          break;
        }
        if (!chunk) {
          await new Promise<void>(resolve => (wake = resolve));
          continue;
        }
        if (chunk.timings) {
          note(chunk.timings, usage, tokens.length);
          this._pace.note(chunk.timings);
        }
        const [choice] = chunk.choices ?? [];
        if (!choice?.text) {
          alive();
          continue;
        }
        // A token's first character is as probable as the token, the others follow from it.
        let probability = probabilityOf(choice.logprobs?.content);
        for (const character of choice.text) {
          if (owed.length > 0) {
            const [next] = owed;
            owed = owed.slice(1);
            if (next !== character) {
              return;
            }
            continue;
          }
          text += character;
          if (!agrees(text, ways)) {
            return;
          }
          yield { token: character.codePointAt(0) ?? 0, probability };
          probability = 1;
          if (--left <= 0) {
            return;
          }
        }
      }
      await writing;
    } finally {
      // The next text begins once this one has ended: wllama would not answer it otherwise.
      stop.abort();
      await writing.catch(nothing);
    }
  }

  /** End it, and free its memory. */
  async close(): Promise<void> {
    const wllama = await this._wllama?.catch(() => null);
    this._gone();
    await wllama?.exit();
  }

  /** What is running; after a crash it is started again. */
  private async _running(): Promise<Wllama> {
    const wllama = await (this._wllama ??= this._start());
    this._length = Math.min(LENGTH, wllama.getLoadedContextInfo().n_ctx_train || LENGTH);
    return wllama;
  }

  private _gone(): void {
    this._wllama = null;
  }

  private async _measure(): Promise<void> {
    const wllama = await this._running();
    const asked = { prompt: SAMPLE, max_tokens: SAMPLE_TOKENS, temperature: 0, ignore_eos: true };
    const answer = await wllama.createCompletion(asked);
    if (answer.timings) {
      this._pace.note(answer.timings);
    }
  }

  private _wllama: Promise<Wllama> | null = null;
  private _length = LENGTH;
  private readonly _pace = new Pace();
}

/** Have the timings told with each token: a text may be left before its end. */
const TIMED: object = { timings_per_token: true };

const NOT_STARTED =
  "wllama does not start here: the Content-Security-Policy of the site has to allow worker-src 'self' blob:.";
const NOT_LOADED =
  'wllama cannot load this model: an unknown architecture, or too little memory. ' +
  'Choose another one, or close tabs and try again.';

async function started(file: Blob, engine: string): Promise<Wllama> {
  let fail: (reason: unknown) => void = nothing;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(nothing); // also where it fails after it was loaded
  // A worker that does not start is only told to the log; it would be waited for without end.
  const logger = { ...SILENT, error: fail };
  const wllama = new Wllama({ default: engine }, { logger, suppressNativeLog: true });
  wllama.setCompat(null); // otherwise it fetches one from a host of its own
  const options = {
    n_ctx: LENGTH,
    n_batch: BATCH,
    n_ubatch: BATCH,
    n_threads: 1,
    n_parallel: 1,
    n_gpu_layers: 0
  };
  try {
    await Promise.race([wllama.loadModel([file], options), failed]);
  } catch (reason) {
    await wllama.exit();
    throw new ServerError(500, 'model_failed', reason instanceof Event ? NOT_STARTED : NOT_LOADED);
  }
  return wllama;
}

function note(
  { cache_n: cached, prompt_n: read, prompt_ms, predicted_ms }: ITimings,
  usage: IAsk['usage'],
  length: number
): void {
  // It counts its own tokens, the page characters.
  usage.cachedTokens = Math.round((length * cached) / Math.max(1, cached + read));
  usage.promptMs = prompt_ms;
  usage.predictedMs = predicted_ms;
}

function probabilityOf(tokens: { logprob: number }[] | null | undefined): number {
  const sum = (tokens ?? []).reduce((total, { logprob }) => total + logprob, tokens?.length ? 0 : -Infinity);
  return Math.exp(Math.min(0, Number.isNaN(sum) ? -Infinity : sum));
}
