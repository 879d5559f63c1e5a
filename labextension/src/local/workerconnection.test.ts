import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { requestErrorOf, ServerError } from '../requesterror';
import { EngineHost } from './enginehost';
import type { Models } from './models';
import type { ILocalModel } from './catalogue';
import type { IEngine, IEngineRequest, IToken } from './engineinterface';
import type { FromWorker, IPort, ToWorker } from './messages';
import type { ISource } from './modelfile';
import { CharacterVocabulary } from './vocabulary';
import { type ILine, WorkerConnection } from './workerconnection';

const VOCABULARY = new CharacterVocabulary({
  texts: ['a', 'b', 'c', '?', ''],
  marks: { prefix: 4, suffix: 4, middle: 4 },
  standIn: 3
});

/** Repeats the prompt, one token per turn of the message loop, until it is stopped. */
class Echo {
  readonly contextSize = 100;
  readonly vocabulary = VOCABULARY;
  stopped = 0;

  async *generate({ prompt, maxTokens }: IEngineRequest, signal: AbortSignal): AsyncGenerator<IToken> {
    for (let count = 0; count < maxTokens; count++) {
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

const ask = (text: string, maxTokens: number): IEngineRequest => ({
  prompt: VOCABULARY.tokenize(text),
  draft: [],
  maxTokens,
  banned: null
});

const SOURCE = { url: '', sha256: '', size: 1 };

/** A worker with these models: `tell` sends a message of the page, `output` collects the worker's. */
function hosted(models: object) {
  const output: FromWorker[] = [];
  const port = { postMessage: (message: FromWorker) => output.push(message), onmessage: null } as IPort<
    ToWorker,
    FromWorker
  >;
  new EngineHost(port, models as Models);
  const tell = (data: ToWorker) => port.onmessage?.({ data } as MessageEvent<ToWorker>);
  return { output, tell };
}

describe('a worker that generates', () => {
  async function loaded() {
    const { output, tell } = hosted({ open: () => Promise.resolve(new Echo()) });
    tell({ kind: 'open', call: 1, source: SOURCE });
    await vi.waitFor(() => expect(output).toHaveLength(1));
    const done = (): string[] =>
      output.slice(1).flatMap(message => ('call' in message ? [`${message.kind} ${message.call}`] : []));
    return { output, tell, done };
  }

  it('finishes one text before the next', async () => {
    const { tell, done } = await loaded();
    tell({ kind: 'generate', call: 2, ask: ask('ab', 3) });
    tell({ kind: 'generate', call: 3, ask: ask('c', 1) });
    await vi.waitFor(() => expect(done()).toContain('answer 3'));
    expect(done()).toEqual(['step 2', 'step 2', 'step 2', 'answer 2', 'step 3', 'answer 3']);
  });

  it('ends stopped texts before it opens another model', async () => {
    const { output, tell, done } = await loaded();
    const texts = [2, 3, 4];
    texts.forEach(call => tell({ kind: 'generate', call, ask: ask('ab', 1000) }));
    texts.forEach(call => tell({ kind: 'cancel', call }));
    tell({ kind: 'open', call: 5, source: SOURCE });
    await vi.waitFor(() => expect(done()).toContain('answer 5'));
    expect(done().filter(each => each !== 'step 2')).toEqual([...texts, 5].map(call => `answer ${call}`));
    const errors = output.flatMap(message => (message.kind === 'answer' ? [message.error?.code] : []));
    expect(errors).toEqual([undefined, 'cancelled', 'cancelled', 'cancelled', undefined]);
  });
});

describe('a worker that opens a model', () => {
  it('sends heartbeats', async () => {
    vi.useFakeTimers();
    let open: () => void = () => undefined;
    const { output, tell } = hosted({
      open: () => new Promise(resolve => (open = () => resolve(new Echo())))
    });
    tell({ kind: 'open', call: 1, source: SOURCE });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(output.map(({ kind }) => kind)).toEqual(Array(12).fill('alive'));
    open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(output.slice(12).map(({ kind }) => kind)).toEqual(['answer']);
    vi.useRealTimers();
  });

  it('stops opening an aborted model and opens the next', async () => {
    let begun = 0;
    const open = ({ size }: ISource, _: unknown, signal: AbortSignal) => {
      begun++;
      return size === 1
        ? Promise.resolve(new Echo())
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('x'))));
    };
    const { output, tell } = hosted({ open });
    tell({ kind: 'open', call: 1, source: { ...SOURCE, size: 2 } });
    await vi.waitFor(() => expect(begun).toBe(1));
    tell({ kind: 'cancel', call: 1 });
    await vi.waitFor(() =>
      expect(output).toMatchObject([{ kind: 'answer', call: 1, error: { code: 'cancelled' } }])
    );
    tell({ kind: 'open', call: 2, source: SOURCE });
    await vi.waitFor(() => expect(output.at(-1)).toMatchObject({ call: 2, value: { contextSize: 100 } }));
  });
});

describe('a worker that lists files', () => {
  it('answers even if the browser denies access', async () => {
    const refuse = () => Promise.reject(new DOMException('gone', 'NotFoundError'));
    const { output, tell } = hosted({ stored: refuse, remove: refuse });
    tell({ kind: 'stored', call: 1, sources: [SOURCE] });
    tell({ kind: 'remove', call: 2, source: SOURCE });
    const error = { code: 'model_failed', message: 'gone' };
    await vi.waitFor(() =>
      expect(output).toEqual([1, 2].map(call => ({ kind: 'answer', call, value: null, error })))
    );
  });
});

describe('a worker that downloads a file', () => {
  it('reports progress and stops an aborted download', async () => {
    const fetch: Models['fetch'] = (_, step, signal) => {
      step({ phase: 'waiting' });
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new Error('given up')))
      );
    };
    const { output, tell } = hosted({ fetch });
    tell({ kind: 'fetch', call: 1, source: SOURCE });
    tell({ kind: 'fetch', call: 2, source: SOURCE });
    tell({ kind: 'cancel', call: 2 });
    await vi.waitFor(() => expect(output).toHaveLength(3));
    expect(output.map(message => [message.kind, 'call' in message && message.call])).toEqual([
      ['step', 1],
      ['step', 2],
      ['answer', 2]
    ]);
    tell({ kind: 'cancel', call: 1 });
    await vi.waitFor(() => expect(output).toHaveLength(4));
  });
});

describe('WorkerConnection', () => {
  let close: (() => void)[] = [];

  afterEach(() => {
    close.forEach(end => end());
    close = [];
  });

  function connected(echo: Echo): WorkerConnection {
    const { port1, port2 } = new MessageChannel();
    close.push(() => port1.close());
    new EngineHost(port2, { open: () => Promise.resolve(echo) } as unknown as Models);
    const line = Object.assign(port1, { onerror: null, terminate: () => undefined }) as ILine;
    return new WorkerConnection(line, () => undefined);
  }

  function opened(echo: Echo, connection = connected(echo)): Promise<IEngine> {
    return connection.open(SOURCE as ILocalModel, () => undefined);
  }

  async function written(engine: IEngine, asked: IEngineRequest, signal = new AbortController().signal) {
    let text = '';
    const take = ({ token, probability }: IToken): boolean => {
      expect(probability).toBe(0.5);
      text += engine.vocabulary.text(token);
      return true;
    };
    await engine.generate(asked, take, signal);
    return text;
  }

  it('returns the generated text', async () => {
    expect(await written(await opened(new Echo()), ask('abé', 5))).toBe('ab?ab');
  });

  it('stops after an abort and generates the next text', async () => {
    const echo = new Echo();
    const engine = await opened(echo);
    const stop = new AbortController();
    const first = written(engine, ask('a', 1e9), stop.signal);
    setTimeout(() => stop.abort(), 20);
    await expect(first).rejects.toThrow('aborted');
    expect(await written(engine, ask('b', 2))).toBe('bb');
    expect(echo.stopped).toBe(1);
  });

  it.each([
    ['wants no more', () => false],
    [
      'throws',
      () => {
        throw new Error('disconnected');
      }
    ]
  ])('stops when the caller %s', async (what, decide) => {
    const echo = new Echo();
    const engine = await opened(echo);
    const taken: number[] = [];
    const take = ({ token }: IToken): boolean => {
      taken.push(token);
      return decide();
    };
    const generated = engine.generate(ask('cc', 1e9), take, new AbortController().signal);
    await (what === 'throws' ? expect(generated).rejects.toThrow('disconnected') : generated);
    expect(await written(engine, ask('a', 1))).toBe('a');
    expect(taken).toEqual([2]);
    expect(echo.stopped).toBe(1);
  });

  it('does not start a generation that was aborted before', async () => {
    const engine = await opened(new Echo());
    const stop = new AbortController();
    const long = written(engine, ask('a', 50));
    const given = written(engine, ask('b', 5), stop.signal);
    stop.abort();
    await expect(given).rejects.toThrow('aborted');
    expect(await long).toBe('a'.repeat(50));
  });

  it('leaves no listener after a call', async () => {
    const { signal } = new AbortController();
    await connected(new Echo()).call({ kind: 'open', source: SOURCE }, undefined, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('passes on errors and continues', async () => {
    const engine = await opened(new Echo());
    const asked = ask('a', 3);
    const failed = await written(engine, { ...asked, prompt: [4] }).catch((reason: unknown) => reason);
    // With its own message, not as a server that cannot be reached.
    expect(requestErrorOf(failed)).toMatchObject({ kind: 'reported', message: 'broken' });
    expect(await written(engine, asked)).toBe('aaa');
  });

  it('reports that its worker has ended', async () => {
    const connection = connected(new Echo());
    const engine = await opened(new Echo(), connection);
    const lost = written(engine, ask('a', 1e9));
    connection.end(new ServerError(500, 'worker_gone', 'gone'));
    await expect(lost).rejects.toThrow('gone');
    await expect(written(engine, ask('a', 1))).rejects.toThrow('gone');
  });

  it('fails once another model is opened', async () => {
    const echo = new Echo();
    const connection = connected(echo);
    const engine = await opened(echo, connection);
    const replaced = expect(written(engine, ask('a', 1e9))).rejects.toThrow('Another model');
    const next = await opened(echo, connection);
    await replaced;
    await expect(written(engine, ask('a', 1))).rejects.toThrow('Another model');
    expect(await written(next, ask('b', 2))).toBe('bb');
    expect(echo.stopped).toBe(1);
  });
});
