import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type IAsk, newUsage } from '../engineinterface';
import { CodePoints } from '../vocabulary';
import { WllamaModel } from './wllamamodel';

type Script = { text: string; logprob?: number }[];
type Asked = Record<string, unknown> & {
  onData?: (chunk: unknown) => void;
  abortSignal?: AbortSignal;
};

/** What stands in wllama's place: it says what it is told to, a piece a turn of the message loop. */
const stage = vi.hoisted(() => ({
  script: [] as { text: string; logprob?: number }[],
  asked: [] as Record<string, unknown>[],
  writing: 0,
  most: 0,
  started: 0,
  ended: 0,
  crash: false,
  fails: null as ((log: (reason: unknown) => void) => Promise<void>) | null,
  compat: undefined
}));

vi.mock('@wllama/wllama/esm/index.js', () => {
  class WllamaRuntimeError extends Error {}
  const TIMINGS = { cache_n: 3, prompt_n: 1, prompt_ms: 5, predicted_n: 2, predicted_ms: 7 };
  class Wllama {
    setCompat = (compat: unknown) => (stage.compat = compat);
    constructor(
      _: unknown,
      private readonly _options: { logger: { error: (reason: unknown) => void } }
    ) {}
    loadModel = () => {
      stage.started += 1;
      return stage.fails?.(this._options.logger.error) ?? Promise.resolve();
    };
    getLoadedContextInfo = () => ({ n_ctx_train: 1024 });
    exit = () => Promise.resolve((stage.ended += 1));
    async createCompletion({ onData, abortSignal, ...options }: Asked) {
      if (!onData) {
        return { timings: { ...TIMINGS, prompt_n: 30, prompt_ms: 100, predicted_n: 8, predicted_ms: 100 } };
      }
      stage.asked.push(options);
      stage.most = Math.max(stage.most, ++stage.writing);
      try {
        onData({ prompt_progress: {} });
        for (const { text, logprob = 0 } of stage.script) {
          await new Promise(resolve => setTimeout(resolve));
          if (abortSignal?.aborted) {
            throw new DOMException('stopped', 'AbortError');
          }
          if (stage.crash) {
            throw new WllamaRuntimeError('unreachable');
          }
          onData({ choices: [{ text, logprobs: { content: [{ logprob }] } }], timings: TIMINGS });
        }
      } finally {
        stage.writing -= 1;
      }
      return null;
    }
  }
  return { LoggerWithoutDebug: {}, Wllama, WllamaRuntimeError };
});

const FILE = new Blob([new Uint8Array(readFileSync('ui-tests/model/rectangles.gguf'))]);
const codes = (text: string): number[] => new CodePoints(false).tokenize(text);

function ask(text: string, changed: Partial<IAsk['sampling']> = {}): IAsk {
  return {
    prompt: codes(text),
    draft: [],
    sampling: { maxTokens: 30, temperature: 0, seed: 0, ways: [], banned: null, ...changed },
    usage: newUsage()
  };
}

describe('a model in wllama', () => {
  let model: WllamaModel;

  beforeEach(async () => {
    Object.assign(stage, {
      script: [],
      asked: [],
      writing: 0,
      most: 0,
      started: 0,
      ended: 0,
      crash: false,
      fails: null
    });
    vi.stubGlobal('navigator', { userAgent: 'Firefox/150.0' });
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(() => ({}) as WebAssembly.Memory);
    model = await WllamaModel.open('larger', FILE, new Blob(['wasm']));
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  async function written(asked: IAsk, script: Script, enough = Infinity, alive = () => undefined) {
    stage.script = script;
    const tokens: [string, number][] = [];
    for await (const { token, probability } of model.generate(asked, new AbortController().signal, alive)) {
      tokens.push([String.fromCodePoint(token), probability]);
      if (tokens.length >= enough) {
        break;
      }
    }
    return tokens;
  }

  const textOf = (tokens: [string, number][]): string => tokens.map(([character]) => character).join('');

  it('never fetches anything of another host, and says what it measured', () => {
    expect(stage.compat).toBeNull();
    expect(model.onDemand).toBe(false);
    expect(model.contextSize).toBe(1024);
  });

  it('writes characters, each as probable as the token it begins', async () => {
    const asked = ask('x = (');
    const tokens = await written(asked, [{ text: 'ab', logprob: Math.log(0.5) }, { text: ')' }]);
    expect(tokens).toEqual([
      ['a', 0.5],
      ['b', 1],
      [')', 1]
    ]);
    expect(asked.usage).toMatchObject({ cachedTokens: 4, promptMs: 5, predictedMs: 7 });
  });

  it('does not write again what was typed of a word', async () => {
    expect(textOf(await written(ask('    ret'), [{ text: ' return' }, { text: ' a' }]))).toBe('urn a');
    expect(stage.asked[0]).toMatchObject({ prompt: '\ue001   \ue002\ue003', max_tokens: 34 });
    expect(stage.asked[0].grammar).toContain('" ret"');
    expect(await written(ask('    ret'), [{ text: ' other' }])).toEqual([]);
  });

  it('ends where a text is none of those that it may begin with', async () => {
    const asked = ask('df[', { ways: [codes('width')] });
    expect(textOf(await written(asked, [{ text: 'wi' }, { text: 'th' }]))).toBe('wi');
    expect(textOf(await written(asked, [{ text: 'width"]' }]))).toBe('width"]');
  });

  it('ends after so many characters', async () => {
    expect(textOf(await written(ask('(', { maxTokens: 3 }), [{ text: 'ab' }, { text: 'cd' }]))).toBe('abc');
  });

  it('is not asked where the line spells a control token', async () => {
    expect(await written(ask('x = "\ue018'), [{ text: 'a' }])).toEqual([]);
    expect(stage.asked).toEqual([]);
  });

  it('writes one text at a time: who has enough waits for its end', async () => {
    const script = Array.from({ length: 20 }, () => ({ text: 'a' }));
    await written(ask('('), script, 1);
    expect(stage.writing).toBe(0);
    await written(ask('('), script, 2);
    expect(stage.most).toBe(1);
  });

  it('stops where nobody wants it any more', async () => {
    stage.script = [{ text: 'a' }, { text: 'b' }];
    const stop = new AbortController();
    const writing = model.generate(ask('('), stop.signal, () => stop.abort());
    await expect(writing.next()).rejects.toThrow('stopped');
    expect(stage.writing).toBe(0);
  });

  it('tells that it is alive while it reads', async () => {
    const alive = vi.fn();
    await written(ask('('), [{ text: 'a' }], 1, alive);
    expect(alive).toHaveBeenCalledTimes(1);
  });

  it('is started again after a crash', async () => {
    stage.crash = true;
    await expect(written(ask('('), [{ text: 'a' }])).rejects.toThrow('unreachable');
    stage.crash = false;
    expect(textOf(await written(ask('('), [{ text: 'a' }]))).toBe('a');
    expect(stage.started).toBe(2);
  });

  it('frees what it holds when it is closed', async () => {
    await model.close();
    expect(stage.ended).toBe(1);
  });

  it.each([
    ['it is not known to wllama', () => Promise.reject(new Error('load')), 'an unknown architecture'],
    [
      'no worker may start',
      (log: (reason: unknown) => void) => {
        log(new Event('error'));
        return new Promise<void>(() => undefined);
      },
      'worker-src'
    ]
  ])('is refused in words where %s', async (_, fails, words) => {
    stage.fails = fails;
    await expect(WllamaModel.open('larger', FILE, new Blob(['wasm']))).rejects.toThrow(words);
    expect(stage.ended).toBe(1);
  });

  it('is refused in words where the browser lacks something', async () => {
    vi.spyOn(WebAssembly, 'Memory').mockImplementation(() => {
      throw new TypeError('no such memory');
    });
    const opening = WllamaModel.open('larger', FILE, new Blob(['wasm']));
    await expect(opening).rejects.toThrow('64-bit memory or JSPI');
  });
});
