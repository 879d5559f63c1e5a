import { afterEach, describe, expect, it, vi } from 'vitest';
import { troubleOf } from '../trouble';
import { EngineHost, type IHosted, type IModels } from './enginehost';
import { type IAsk, type IToken, newUsage } from './engineinterface';
import type { FromWorker, IOpened, IPort, ToWorker } from './messages';
import { CharacterVocabulary } from './vocabulary';
import { WorkerEngine } from './workerengine';

const VOCABULARY = new CharacterVocabulary({
  texts: ['a', 'b', 'c', '?', ''],
  marks: { prefix: 4, suffix: 4, middle: 4 },
  standIn: 3
});

/** Repeats the prompt, one token per turn of the message loop, until it is stopped. */
class Echo implements IHosted {
  readonly name = 'echo';
  readonly contextSize = 100;
  readonly vocabulary = VOCABULARY;
  stopped = 0;

  async *generate({ prompt, sampling, usage }: IAsk, signal: AbortSignal): AsyncGenerator<IToken> {
    usage.cachedTokens = prompt.length;
    for (let count = 0; count < sampling.maxTokens; count++) {
      await new Promise(resolve => setTimeout(resolve));
      if (signal.aborted) {
        this.stopped += 1;
        signal.throwIfAborted();
      }
      if (prompt[count % prompt.length] === 4) {
        throw new Error('broken');
      }
      yield { token: prompt[count % prompt.length], probability: 0.5 };
    }
  }
}

const ask = (text: string, maxTokens: number): IAsk => ({
  prompt: VOCABULARY.tokenize(text),
  draft: [],
  sampling: { maxTokens, ways: [], banned: null },
  usage: newUsage()
});

const SOURCE = { url: '', sha256: '', size: 1 };

/** A worker with these models: `tell` is what the page does, `said` what the worker answers. */
function hosted(models: object) {
  const said: FromWorker[] = [];
  const port = { postMessage: (message: FromWorker) => said.push(message), onmessage: null } as IPort<
    ToWorker,
    FromWorker
  >;
  new EngineHost(port, models as IModels);
  const tell = (data: ToWorker) => port.onmessage?.({ data } as MessageEvent<ToWorker>);
  return { said, tell };
}

describe('a worker that opens a model', () => {
  it('sends heartbeats', async () => {
    vi.useFakeTimers();
    let open: () => void = () => undefined;
    const { said, tell } = hosted({
      open: () => new Promise(resolve => (open = () => resolve(new Echo())))
    });
    tell({ kind: 'open', call: 1, name: 'echo', source: SOURCE });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said.map(({ kind }) => kind)).toEqual(Array(12).fill('alive'));
    open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said.slice(12).map(({ kind }) => kind)).toEqual(['answer']);
    vi.useRealTimers();
  });

  it('cancels an obsolete model, and opens the next one', async () => {
    let begun = 0;
    const open = (name: string, _: unknown, __: unknown, signal: AbortSignal) => {
      begun++;
      return name === 'echo'
        ? Promise.resolve(new Echo())
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('x'))));
    };
    const { said, tell } = hosted({ open });
    tell({ kind: 'open', call: 1, name: 'endless', source: SOURCE });
    await vi.waitFor(() => expect(begun).toBe(1));
    tell({ kind: 'give up', call: 1 });
    await vi.waitFor(() =>
      expect(said).toMatchObject([{ kind: 'answer', call: 1, error: { code: 'cancelled' } }])
    );
    tell({ kind: 'open', call: 2, name: 'echo', source: SOURCE });
    await vi.waitFor(() => expect(said.at(-1)).toMatchObject({ call: 2, value: { name: 'echo' } }));
  });
});

describe('a worker that is asked for files', () => {
  it('answers also where the browser refuses, as one that says nothing would be ended', async () => {
    const refuse = () => Promise.reject(new DOMException('gone', 'NotFoundError'));
    const { said, tell } = hosted({ stored: refuse, remove: refuse });
    tell({ kind: 'stored', call: 1, sources: [SOURCE] });
    tell({ kind: 'remove', call: 2, source: SOURCE });
    const error = { code: 'model_failed', message: 'gone' };
    await vi.waitFor(() =>
      expect(said).toEqual([1, 2].map(call => ({ kind: 'answer', call, value: null, error })))
    );
  });
});

describe('a worker that fetches a file', () => {
  it('reports progress, and cancels an obsolete download', async () => {
    const fetch: IModels['fetch'] = (_, step, signal) => {
      step({ phase: 'waiting' });
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('given up')))
      );
    };
    const { said, tell } = hosted({ fetch });
    tell({ kind: 'fetch', call: 1, source: SOURCE });
    tell({ kind: 'fetch', call: 2, source: SOURCE });
    tell({ kind: 'give up', call: 2 });
    await vi.waitFor(() => expect(said).toHaveLength(3));
    expect(said.map(message => [message.kind, 'call' in message && message.call])).toEqual([
      ['step', 1],
      ['step', 2],
      ['answer', 2]
    ]);
    tell({ kind: 'give up', call: 1 });
    await vi.waitFor(() => expect(said).toHaveLength(4));
  });
});

describe('the engine in a worker', () => {
  let close: (() => void)[] = [];

  afterEach(() => {
    close.forEach(end => end());
    close = [];
  });

  async function opened(echo: Echo): Promise<WorkerEngine> {
    const { port1, port2 } = new MessageChannel();
    close.push(() => port1.close());
    const models = {
      open: () => Promise.resolve(echo)
    } as unknown as IModels;
    new EngineHost(port2, models);
    return new Promise(resolve => {
      let engine: WorkerEngine | null = null;
      port1.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.kind === 'answer') {
          engine = new WorkerEngine(port1, data.value as IOpened);
          resolve(engine);
        } else {
          engine?.take(data);
        }
      };
      port1.postMessage({ kind: 'open', call: 1, name: 'echo', source: { url: '', sha256: '', size: 0 } });
    });
  }

  async function written(engine: WorkerEngine, asked: IAsk, signal = new AbortController().signal) {
    let text = '';
    for await (const { token, probability } of engine.generate(asked, signal)) {
      expect(probability).toBe(0.5);
      text += engine.vocabulary.text(token);
    }
    return text;
  }

  it('writes what it writes there, and says what it cost', async () => {
    const engine = await opened(new Echo());
    const asked = ask('abé', 5);
    expect(await written(engine, asked)).toBe('ab?ab');
    expect(asked.usage.cachedTokens).toBe(3);
  });

  it('ends a cancelled text, and generates the next one', async () => {
    const echo = new Echo();
    const engine = await opened(echo);
    const stop = new AbortController();
    const first = written(engine, ask('a', 1e9), stop.signal);
    setTimeout(() => stop.abort(), 20);
    await expect(first).rejects.toThrow('aborted');
    expect(await written(engine, ask('b', 2))).toBe('bb');
    expect(echo.stopped).toBe(1);
  });

  it('ends if the caller stops early, and returns the usage', async () => {
    const echo = new Echo();
    const engine = await opened(echo);
    const asked = ask('cc', 1e9);
    for await (const { token } of engine.generate(asked, new AbortController().signal)) {
      expect(token).toBe(2);
      break;
    }
    expect(asked.usage.cachedTokens).toBe(2);
    expect(await written(engine, ask('a', 1))).toBe('a');
    expect(echo.stopped).toBe(1);
  });

  it('never begins what was given up before its turn', async () => {
    const engine = await opened(new Echo());
    const stop = new AbortController();
    const long = written(engine, ask('a', 50));
    const given = written(engine, ask('b', 5), stop.signal);
    stop.abort();
    await expect(given).rejects.toThrow('aborted');
    expect(await long).toBe('a'.repeat(50));
  });

  it('reports errors, and continues', async () => {
    const engine = await opened(new Echo());
    const asked = ask('a', 3);
    const failed = await written(engine, { ...asked, prompt: [4] }).catch((reason: unknown) => reason);
    // In its own words, not as a server that cannot be reached.
    expect(troubleOf(failed)).toMatchObject({ kind: 'told', message: 'broken' });
    expect(await written(engine, asked)).toBe('aaa');
  });

  it('says so when its worker has gone', async () => {
    const engine = await opened(new Echo());
    const lost = written(engine, ask('a', 1e9));
    engine.fail(new Error('gone'));
    await expect(lost).rejects.toThrow('gone');
  });
});
