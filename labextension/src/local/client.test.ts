import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { IFrame, IRequest, IProgress } from '../wire';
import { type ILocalOptions, LocalClient } from './client';
import { requestOf } from './testing/request';
import { FakeWorker } from './testing/worker';

const BASE = { name: 'characters', url: 'base.gguf', sha256: 'a'.repeat(64), size: 6 };
const PYTHON = { ...BASE, name: 'python', url: 'python.gguf', language: 'python', sha256: 'b'.repeat(64) };

const request = (language = 'python'): IRequest =>
  requestOf('answer = ', { path: 'a.py', language, trigger: 'automatic', eagerness: 'always' });

describe('LocalClient', () => {
  let listed: () => Response;
  let asked: number;
  let workers: FakeWorker[];
  let client: LocalClient;
  let prepare: (worker: FakeWorker) => void;
  let options: ILocalOptions;

  beforeEach(() => {
    vi.useFakeTimers();
    asked = 0;
    workers = [];
    prepare = () => undefined;
    listed = () => new Response(JSON.stringify({ models: [BASE, PYTHON] }));
    vi.stubGlobal('fetch', () => {
      asked += 1;
      return Promise.resolve(listed());
    });
    options = {
      catalogue: 'https://site.test/models.json',
      connect: () => {
        const worker = new FakeWorker();
        prepare(worker);
        workers.push(worker);
        return worker;
      }
    };
    client = new LocalClient(options);
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  async function complete(language?: string): Promise<string> {
    const frames: IFrame[] = [];
    await client.complete(request(language), new AbortController().signal, frame => frames.push(frame));
    return frames.at(-1)?.text ?? '';
  }

  it('starts no worker and downloads nothing before the first request', async () => {
    expect(await client.health()).toMatchObject({ phase: 'empty', ready: false });
    expect([asked, workers.length]).toEqual([0, 0]);
  });

  it('uses the model for the language, or the general one', async () => {
    expect(await complete('python')).toBe('yes');
    expect(await client.health()).toMatchObject({ ready: true, model: 'python' });
    expect(await complete('go')).toBe('yes');
    expect(await complete('rust')).toBe('yes');
    expect(workers.map(({ opened }) => opened)).toEqual([['python', 'characters']]);
  });

  it('knowsBetter returns the model’s main language without starting a worker', async () => {
    expect(await client.knowsBetter('go')).toBe('');
    listed = () => new Response(JSON.stringify({ models: [{ ...BASE, best: 'rust' }, PYTHON] }));
    const other = new LocalClient(options);
    expect(await Promise.all(['go', 'rust', 'python'].map(language => other.knowsBetter(language)))).toEqual([
      'rust',
      '',
      ''
    ]);
    expect(workers).toHaveLength(0);
  });

  it('reports a loaded model before the first answer', async () => {
    const reported: string[] = [];
    client = new LocalClient({
      ...options,
      opened: () => void client.health().then(({ phase, model }) => reported.push(`${model} is ${phase}`))
    });
    const { signal } = new AbortController();
    await client.complete(request(), signal, ({ text }) => reported.push(text));
    await complete();
    expect(reported[0]).toBe('python is ready');
    expect(reported.filter(one => one.endsWith('ready'))).toHaveLength(1);
  });

  it('uses the selected model for every language', async () => {
    await client.select('characters');
    await complete('python');
    expect(workers[0].opened).toEqual(['characters']);
    expect((await client.models()).map(({ selected }) => selected)).toEqual([true, false]);
  });

  it('requests a missing list once, not at each keystroke', async () => {
    listed = () => new Response('no', { status: 404 });
    for (let key = 0; key < 5; key++) {
      await expect(complete()).rejects.toThrow('models.json could not be downloaded (404)');
    }
    expect(asked).toBe(1);
    expect(await client.health()).toMatchObject({ phase: 'failed', code: 'no_model' });
  });

  it('retries by itself after a connection error', async () => {
    const error = { code: 'download_failed', message: 'Check your network connection.' };
    prepare = worker => (worker.error = error);
    for (let key = 0; key < 5; key++) {
      await expect(complete()).rejects.toThrow('Check your network connection.');
    }
    expect(workers[0].opened).toHaveLength(1);
    expect(await client.health()).toMatchObject({ phase: 'failed', reason: error.message });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await client.health()).toMatchObject({ phase: 'loading' });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await client.health()).toMatchObject({ phase: 'failed' });
    expect(workers[0].opened).toHaveLength(2);
    workers[0].error = null;
    await vi.advanceTimersByTimeAsync(11_000);
    await client.health();
    await vi.advanceTimersByTimeAsync(0);
    expect(await client.health()).toMatchObject({ phase: 'ready', code: null });
    expect(await complete()).toBe('yes');
  });

  it('wraps unexpected exceptions, and passes on aborts', async () => {
    const failing = (signal = new AbortController().signal) =>
      client.complete(request(), signal, () => {
        throw new TypeError('x is not a function');
      });
    await expect(failing()).rejects.toMatchObject({
      code: 'model_failed',
      message: 'The model in this page failed (TypeError). Reload the page.'
    });
    await expect(failing(AbortSignal.abort(new DOMException('', 'AbortError')))).rejects.toThrow(
      DOMException
    );
  });

  it('counts concurrent failures as one', async () => {
    listed = () => new Response('', { status: 503 });
    await Promise.allSettled([complete(), complete(), complete(), complete()]);
    listed = () => new Response(JSON.stringify({ models: [BASE] }));
    await vi.advanceTimersByTimeAsync(11_000);
    await client.health();
    await vi.advanceTimersByTimeAsync(0);
    expect(await client.health()).toMatchObject({ ready: true });
  });

  it('reports an unsupported browser and does not retry', async () => {
    prepare = worker => (worker.error = { code: 'no_engine', message: 'no SIMD' });
    await expect(complete()).rejects.toThrow('no SIMD');
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(await client.health()).toMatchObject({ phase: 'failed', code: 'no_engine' });
    expect(workers[0].opened).toHaveLength(1);
  });

  it.each(['silent', 'stops'] as const)(
    'ends a worker that %s, and starts another at the next key',
    async what => {
      prepare = worker => (worker[what] = workers.length === 0);
      const failed = expect(complete()).rejects.toThrow('does not respond');
      await vi.advanceTimersByTimeAsync(90_000);
      await failed;
      expect(workers[0].ended).toBe(true);
      expect(await complete()).toBe('yes');
      expect(workers).toHaveLength(2);
    }
  );

  it('restarts a worker that fails while it opens a model', async () => {
    prepare = worker => (worker.stuck = workers.length === 0 ? { phase: 'verifying' } : null);
    const failed = expect(complete()).rejects.toThrow('does not respond');
    await vi.advanceTimersByTimeAsync(60_000);
    await failed;
    expect(workers[0].ended).toBe(true);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await client.health()).toMatchObject({ phase: 'loading', code: null });
    expect(await complete()).toBe('yes');
    expect(workers).toHaveLength(2);
  });

  it('increases the delay for a model that repeatedly ends the worker', async () => {
    prepare = worker => (worker.stuck = { phase: 'verifying' });
    const crash = async () => {
      await vi.advanceTimersByTimeAsync(0);
      workers.at(-1)?.say({ kind: 'alive' });
      await vi.advanceTimersByTimeAsync(0);
      workers.at(-1)?.onerror?.({ message: 'out of memory' } as ErrorEvent);
      await vi.advanceTimersByTimeAsync(0);
    };
    const failed = expect(complete()).rejects.toThrow('The model has stopped (out of memory).');
    await crash();
    await failed;
    for (const [wait, started] of [
      [11_000, 2],
      [11_000, 2],
      [11_000, 3]
    ]) {
      for (let key = 0; key < 5; key++) {
        await expect(complete()).rejects.toMatchObject({ code: 'worker_gone' });
      }
      expect(await client.health()).toMatchObject({ phase: 'failed', code: 'worker_gone' });
      await vi.advanceTimersByTimeAsync(wait);
      await client.health();
      expect(workers).toHaveLength(started);
      if ((await client.health()).phase === 'loading') {
        await crash();
      }
    }
  });

  it('opens only the last of two models that are requested at once', async () => {
    const replaced = expect(complete('python')).rejects.toMatchObject({ code: 'cancelled' });
    expect(await complete('go')).toBe('yes');
    await replaced;
    expect(workers.map(({ opened }) => opened)).toEqual([['characters']]);
  });

  it('does not complete a text that another model interrupts', async () => {
    prepare = worker => (worker.stops = true);
    const frames: IFrame[] = [];
    const answer = client.complete(request(), new AbortController().signal, frame => frames.push(frame));
    const interrupted = expect(answer).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    await client.select('characters');
    await interrupted;
    expect(frames.filter(({ done }) => done)).toEqual([]);
    expect(await client.health()).toMatchObject({ phase: 'ready', model: 'characters' });
  });

  it('waits for a worker that is busy for minutes', async () => {
    prepare = worker => (worker.stuck = { phase: 'verifying' });
    const answer = complete();
    for (let beat = 0; beat < 60; beat++) {
      await vi.advanceTimersByTimeAsync(5000);
      workers[0].say({ kind: 'alive' });
    }
    workers[0].arrive();
    expect(await answer).toBe('yes');
    expect(workers).toHaveLength(1);
  });

  it('reports a worker that does not start and retries later', async () => {
    prepare = worker => (worker.dead = workers.length === 0);
    const failed = expect(complete()).rejects.toThrow('The model worker could not be started (404).');
    await vi.advanceTimersByTimeAsync(0);
    workers[0].onerror?.({ message: '404' } as ErrorEvent);
    await failed;
    await expect(complete()).rejects.toThrow('could not be started');
    expect(workers).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(11_000);
    await client.health();
    expect(await complete()).toBe('yes');
    expect(workers).toHaveLength(2);
  });

  it('ends its worker in leave and starts one at the next request', async () => {
    await complete();
    client.leave();
    expect(workers[0].ended).toBe(true);
    expect(await client.health()).toMatchObject({ phase: 'empty', code: null });
    expect(await complete()).toBe('yes');
    expect(workers).toHaveLength(2);
  });

  it('reports the progress of a download and that it was stopped', async () => {
    const stuck: IProgress = { phase: 'downloading', received: 3, total: 6 };
    prepare = worker => (worker.stuck = workers.length === 0 ? stuck : null);
    const steps: IProgress[] = [];
    const fetching = client.pull('characters', false, step => steps.push(step));
    const stopped = expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    expect(steps).toEqual([stuck]);
    const reported = (await client.models()).map(({ pulling, progress }) => [pulling, progress]);
    expect(reported).toEqual([
      [true, stuck],
      [false, null]
    ]);
    await client.stopPull('characters');
    await stopped;
    expect(workers[0].reported.at(-1)).toEqual({ kind: 'cancel', call: 1 });
    expect((await client.models()).some(({ pulling }) => pulling)).toBe(false);
    workers[0].stuck = null;
    await client.pull('characters', false, step => steps.push(step));
    expect(steps.at(-1)).toMatchObject({ phase: 'done' });
    expect(workers).toHaveLength(1);
  });

  it('stops the download of the model in use, but no other', async () => {
    const step: IProgress = { phase: 'downloading', received: 3, total: 6 };
    prepare = worker => (worker.stuck = step);
    const stopped = expect(complete()).rejects.toMatchObject({ code: 'cancelled' });
    const other = client.pull('characters', false, () => undefined, false);
    await vi.advanceTimersByTimeAsync(0);
    expect((await client.health()).inPage).toEqual({ size: 6, step });
    await client.stopPull('python');
    await stopped;
    expect((await client.models()).map(({ pulling, failed }) => [pulling, failed])).toEqual([
      [true, null],
      [false, null]
    ]);
    workers[0].answer();
    await other;
    expect(workers.map(({ ended }) => ended)).toEqual([false]);
  });

  it('does not download a stopped model again until it is requested', async () => {
    listed = () => new Response(JSON.stringify({ models: [PYTHON] }));
    prepare = worker => (worker.stuck = { phase: 'downloading', received: 3, total: 6 });
    const stopped = expect(complete()).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    await client.stopPull('python');
    await stopped;
    const reason = 'The download of python was stopped. Download it in the Models panel to use it.';
    expect(await client.health()).toMatchObject({ phase: 'failed', code: 'withheld', reason });
    await expect(complete()).rejects.toThrow(reason);
    expect(workers[0].opened).toEqual(['python']);
    await client.pull('python', false, () => undefined);
    expect(await complete()).toBe('yes');
  });

  it('opens the selected model after another one was stopped', async () => {
    prepare = worker => (worker.stuck = { phase: 'downloading', received: 3, total: 6 });
    const stopped = expect(complete()).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    const selected = client.select('characters');
    await vi.advanceTimersByTimeAsync(0);
    workers[0].postMessage({ kind: 'cancel', call: 1 });
    await stopped;
    expect(await selected).toMatchObject({ phase: 'ready', model: 'characters' });
    expect(workers[0].opened).toEqual(['python', 'characters']);
  });

  it('opens a selected model after the one being opened', async () => {
    prepare = worker => (worker.stuck = { phase: 'downloading', received: 3, total: 6 });
    const interrupted = expect(complete()).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    const selected = client.select('characters');
    await vi.advanceTimersByTimeAsync(0);
    workers[0].arrive();
    await selected;
    await interrupted;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(workers[0].opened).toEqual(['python', 'characters']);
    expect(workers.map(({ ended }) => ended)).toEqual([false]);
  });

  it('opens no other model when a previous one is stopped', async () => {
    prepare = worker => (worker.stuck = { phase: 'downloading', received: 3, total: 6 });
    const gone = [complete('python'), complete('go')].map(one =>
      expect(one).rejects.toMatchObject({ code: 'cancelled' })
    );
    await vi.advanceTimersByTimeAsync(0);
    client.leave();
    await Promise.all(gone);
    expect(workers).toHaveLength(1);
    expect(await client.health()).toMatchObject({ phase: 'empty' });
  });

  it('completes while another model is downloaded', async () => {
    await complete();
    workers[0].stuck = { phase: 'downloading', received: 3, total: 6 };
    const fetching = client.pull('characters', false, () => undefined, false);
    await vi.advanceTimersByTimeAsync(0);
    expect(await client.health()).toMatchObject({ phase: 'ready', model: 'python' });
    expect(await complete()).toBe('yes');
    workers[0].answer({ error: { code: 'download_failed', message: 'cut' } });
    await expect(fetching).rejects.toThrow('cut');
    expect(workers[0].opened).toEqual(['python']);
  });

  it('reports a download that ended with the worker and does not restart it', async () => {
    await complete();
    workers[0].stuck = { phase: 'downloading', received: 3, total: 6 };
    const cut = expect(client.pull('characters', false, () => undefined, false)).rejects.toMatchObject({
      code: 'download_failed',
      message: 'The download was interrupted because its worker stopped. Download the model again.'
    });
    await vi.advanceTimersByTimeAsync(0);
    workers[0].onerror?.({ message: 'out of memory' } as ErrorEvent);
    await cut;
    expect(await complete()).toBe('yes');
    expect(workers.map(({ opened }) => opened)).toEqual([['python'], ['python']]);
  });

  it('uses a model at once that cannot be stored', async () => {
    await complete();
    workers[0].stuck = { phase: 'waiting' };
    const fetching = client.pull('characters', false, () => undefined, false);
    await vi.advanceTimersByTimeAsync(0);
    workers[0].stuck = null;
    workers[0].answer({ error: { code: 'no_storage', message: 'no files' } });
    await fetching;
    expect(workers[0].opened).toEqual(['python', 'characters']);
  });

  describe('after a model was removed', () => {
    beforeEach(async () => {
      listed = () => new Response(JSON.stringify({ models: [PYTHON] }));
      await complete('python');
      expect(await client.remove('python')).toBe(6);
    });

    const removed = 'The model python was removed. Download it again in the Models panel.';

    it('reports it and does not download the model again', async () => {
      expect(await client.health()).toMatchObject({ phase: 'failed', code: 'withheld', reason: removed });
      await expect(complete('python')).rejects.toThrow(removed);
      await vi.advanceTimersByTimeAsync(600_000);
      await client.health();
      await expect(complete('python')).rejects.toThrow(removed);
      expect(workers[0].opened).toEqual(['python']);
      expect((await client.models()).map(({ failed, selected }) => [failed, selected])).toEqual([
        [null, false]
      ]);
    });

    it.each([
      ['was downloaded', () => client.pull('python', false, () => undefined, false)],
      ['was chosen', () => client.select('python')]
    ])('uses the model once it %s', async (_, want) => {
      await want();
      expect(await complete('python')).toBe('yes');
      expect(workers[0].opened).toEqual(['python', 'python']);
    });

    it('continues without the model if its download fails', async () => {
      workers[0].stuck = { phase: 'waiting' };
      const fetching = client.pull('python', false, () => undefined, false);
      await vi.advanceTimersByTimeAsync(0);
      workers[0].answer({ error: { code: 'download_failed', message: 'cut' } });
      await expect(fetching).rejects.toThrow('cut');
      await expect(complete('python')).rejects.toThrow(removed);
    });
  });

  it('uses another model if one was removed before its first use', async () => {
    await complete('go');
    await client.remove('python');
    expect(await complete('python')).toBe('yes');
    expect(await complete('go')).toBe('yes');
    expect(workers[0].opened).toEqual(['characters']);
    await client.remove('characters');
    await expect(complete('python')).rejects.toThrow('was removed');
    await expect(complete('go')).rejects.toThrow('was removed');
    await client.pull('characters', false, () => undefined, false);
    expect(await complete('python')).toBe('yes');
  });

  it('uses another model after the selected one was removed', async () => {
    await client.select('characters');
    await client.remove('characters');
    expect(await client.health()).toMatchObject({ code: null, model: '' });
    expect(await complete('go')).toBe('yes');
    expect(await client.health()).toMatchObject({ phase: 'ready', model: 'python' });
    expect((await client.models()).map(({ selected }) => selected)).toEqual([false, true]);
  });

  it('does not retry a failed model after it was removed', async () => {
    prepare = worker => (worker.error = { code: 'download_failed', message: 'cut' });
    await expect(complete('python')).rejects.toThrow('cut');
    await client.remove('python');
    await vi.advanceTimersByTimeAsync(11_000);
    await client.health();
    await vi.advanceTimersByTimeAsync(0);
    expect(workers[0].opened).toEqual(['python']);
  });

  it('stops opening a model that is removed', async () => {
    listed = () => new Response(JSON.stringify({ models: [PYTHON] }));
    prepare = worker => (worker.stuck = { phase: 'verifying' });
    const stopped = expect(complete()).rejects.toMatchObject({ code: 'cancelled' });
    await vi.advanceTimersByTimeAsync(0);
    await client.remove('python');
    await stopped;
    expect(workers[0].reported.map(({ kind }) => kind)).toEqual(['open', 'cancel', 'remove']);
    await expect(complete()).rejects.toThrow('python was removed');
  });

  it('uses another model if one was opened while it was removed', async () => {
    prepare = worker => {
      worker.stuck = { phase: 'verifying' };
      const post = worker.postMessage.bind(worker);
      worker.postMessage = message => (message.kind === 'cancel' ? worker.arrive() : post(message)); // too late
    };
    const completed = complete('python');
    await vi.advanceTimersByTimeAsync(0);
    await client.remove('python');
    await completed;
    expect(await complete('python')).toBe('yes');
    expect(workers[0].opened).toEqual(['python', 'characters']);
  });

  it('keeps using a model that could not be removed', async () => {
    await complete();
    workers[0].refusal = { code: 'model_failed', message: 'in use' };
    await expect(client.remove('python')).rejects.toThrow('in use');
    expect(await complete()).toBe('yes');
    expect(await client.health()).toMatchObject({ phase: 'ready', model: 'python' });
  });

  it('reports which model could not be downloaded, and why', async () => {
    prepare = worker => (worker.error = { code: 'download_failed', message: 'cut' });
    await expect(client.select('characters')).rejects.toThrow('cut');
    expect((await client.models()).map(({ failed }) => failed)).toEqual(['cut', null]);
  });

  it('keeps the previous selection if another model cannot be opened', async () => {
    await client.select('characters');
    workers[0].error = { code: 'model_failed', message: 'damaged' };
    await expect(client.select('python')).rejects.toThrow('damaged');
    workers[0].error = null;
    expect(await client.health()).toMatchObject({ phase: 'empty', model: 'characters' });
    expect((await client.models()).map(({ failed }) => failed)).toEqual([null, 'damaged']);
    expect(await complete('python')).toBe('yes');
    await vi.advanceTimersByTimeAsync(11_000);
    await client.health();
    expect(workers[0].opened).toEqual(['characters', 'python', 'characters']);
  });

  it.each([
    ['is stopped', () => client.stopPull('characters'), 'cancelled'],
    ['has ended the worker', () => vi.advanceTimersByTimeAsync(60_000), 'worker_gone']
  ])('uses the model for the language if the first selection %s', async (_, end, code) => {
    prepare = worker =>
      (worker.stuck = workers.length === 0 ? { phase: 'downloading', received: 3, total: 6 } : null);
    const failed = expect(client.select('characters')).rejects.toMatchObject({ code });
    await vi.advanceTimersByTimeAsync(0);
    await end();
    await failed;
    expect(await complete('python')).toBe('yes');
    expect(workers.at(-1)?.opened.at(-1)).toBe('python');
  });

  it('uses the last of two selections, even if the first fails', async () => {
    prepare = worker => {
      worker.error = { code: 'model_failed', message: 'damaged' };
      worker.damaged = 'python';
    };
    await complete('go');
    const failed = expect(client.select('python')).rejects.toMatchObject({ code: 'cancelled' });
    const selected = client.select('characters');
    await failed;
    expect(await selected).toMatchObject({ phase: 'ready', code: null });
    await complete('python');
    expect(workers[0].opened).not.toContain('python');
  });

  it('rejects an unknown model', async () => {
    await expect(client.select('other')).rejects.toThrow('no model called other');
  });
});
