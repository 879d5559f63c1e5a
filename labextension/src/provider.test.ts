import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IInlineCompletionList } from '@jupyterlab/completer';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('@jupyterlab/completer', () => ({ InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 } }));
vi.mock('@jupyterlab/console', () => ({ ConsolePanel: vi.fn() }));
vi.mock('@jupyterlab/notebook', () => ({ NotebookPanel: vi.fn() }));

import { Availability } from './availability';
import type { IClient } from './client';
import type { IFeedback, IFrame, IHealth, IOtherDocument, IRequest, ITimings } from './wire';
import type { IContext } from './document';
import { TIMEOUT_SHOWN } from './status';
import { LocalClient } from './local/client';
import { FakeWorker } from './local/testing/worker';
import type { Page } from './page';
import { Provider } from './provider';
import { DEFAULTS, type ISettings } from './settings';
import { ResponseError, ServerError } from './requesterror';

const READY = { live: true, ready: true, phase: 'ready' } as IHealth;
const INVOKE = 0;
const AUTOMATIC = 1;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const later = (ms = 1) => vi.advanceTimersByTimeAsync(ms);

interface IAsked {
  body: IRequest;
  signal: AbortSignal;
  frame: (frame: Partial<IFrame>) => void;
  end: () => void;
  fail: (reason: unknown) => void;
}

/** A provider in an editor with one text, and the requests that it sends. */
class Bench {
  constructor(
    public text: string,
    other?: IClient
  ) {
    const client =
      other ??
      ({
        complete: (body: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void) =>
          new Promise<void>((end, fail) => {
            signal.addEventListener('abort', () => fail(new Error('aborted')));
            this.asked.push({ body, signal, frame: part => frame(part as IFrame), end, fail });
          }),
        alternatives: (body: IRequest) => {
          this.prefetched.push(body);
          return Promise.reject(new Error('busy'));
        },
        feedback: ({ id, event }: IFeedback) => void this.messages.push(`${event} ${id}`)
      } as unknown as IClient);
    this.availability = new Availability(() => this.health());
    this.provider = new Provider(client, this.availability, this.page as unknown as Page);
    this.provider.settings = DEFAULTS;
    const signal = {
      connect: (slot: (sender: unknown, change: unknown) => void) => this._slots.push(slot),
      disconnect: () => undefined
    };
    this.editor = {
      isDisposed: false,
      host: new EventTarget(),
      hasFocus: () => this.focused,
      getOption: () => false,
      getSelections: () => [
        { start: { line: 0, column: 0 }, end: { line: 0, column: this.selected ? this.text.length : 0 } }
      ],
      getCursorPosition: () => this.text.length,
      getOffsetAt: (position: number) => position,
      model: {
        mimeType: 'text/x-python',
        selections: { changed: { connect: (slot: () => void) => this._selected.push(slot) } },
        sharedModel: { getSource: () => this.text, changed: signal }
      }
    } as unknown as CodeEditor.IEditor;
  }

  /** What JupyterLab calls; only the newest of these is shown. */
  fetch(triggerKind: number): Promise<IInlineCompletionList> {
    const request = { text: this.text, offset: this.text.length, mimeType: 'text/x-python' };
    const context = {
      editor: this.editor,
      widget: { context: { path: 'a.py' } },
      session: { kernel: { id: this.kernel } },
      triggerKind
    } as unknown as IContext;
    this.shown = this.provider.fetch(request, context);
    return this.shown;
  }

  /** Call the provider, and let its request be sent. */
  async ask(triggerKind = AUTOMATIC): Promise<void> {
    void this.fetch(triggerKind);
    await later();
  }

  /** Answer a request. */
  async answer(index: number, frame: Partial<IFrame>): Promise<void> {
    const asked = this.asked.at(index);
    asked?.frame({ id: 'a', done: true, ...frame });
    asked?.end();
    await later();
  }

  /** Send a part of an answer, and check the shown text. */
  async shows(index: number, text: string, shown = text): Promise<void> {
    this.asked[index].frame({ id: String(index), text });
    expect(await this.textShown()).toBe(shown);
  }

  type(text: string): void {
    this.text += text;
    this._slots.forEach(slot => slot(null, { sourceChange: [{ insert: text }] }));
  }

  /** Select all of the text. */
  select(): void {
    this.selected = true;
    this._selected.forEach(slot => slot());
  }

  get triggers(): string[] {
    return this.asked.map(({ body }) => body.trigger);
  }

  async textShown(): Promise<string | undefined> {
    return (await this.shown).items[0]?.insertText;
  }

  readonly page = {
    widget: { isDisposed: false, context: { path: 'a.py' } } as unknown as Widget,
    editor: null,
    invoke: () => void this.fetch(INVOKE),
    closeMenu: () => (this.menu = false),
    completers: { dismiss: () => undefined, isSuppressed: () => this.menu },
    otherDocuments: () => this.others
  };
  health: () => Promise<IHealth> = () => Promise.resolve(READY);
  shown: Promise<IInlineCompletionList> = Promise.resolve({ items: [] });
  readonly asked: IAsked[] = [];
  readonly prefetched: IRequest[] = [];
  /** The outcomes of suggestions. */
  readonly messages: string[] = [];
  readonly provider: Provider;
  readonly availability: Availability;
  editor: CodeEditor.IEditor;
  focused = true;
  selected = false;
  /** Whether the completion menu is open. */
  menu = false;
  kernel: string | null = 'k';
  others: IOtherDocument[] = [];
  private readonly _selected: (() => void)[] = [];
  private readonly _slots: ((sender: unknown, change: unknown) => void)[] = [];
}

/** The reasons for which a provider declines requests from now on. */
function declinedBy(bench: Bench): string[] {
  const declined: string[] = [];
  bench.provider.declined.connect((_, reason) => declined.push(reason));
  return declined;
}

describe('an answer that must not be cached', () => {
  /** Request at a position, answer if the request reaches the server, and return the shown text. */
  async function at(bench: Bench, text: string, answer: Partial<IFrame>, trigger = AUTOMATIC) {
    bench.text = text;
    const asked = bench.asked.length;
    void bench.fetch(trigger);
    await later(1000);
    if (bench.asked.length > asked) {
      bench.asked[asked].frame({ id: text, done: true, ...answer });
      bench.asked[asked].end();
    }
    return bench.textShown();
  }

  it('is requested again at its position, unlike others', async () => {
    const bench = new Bench('');
    expect(await at(bench, 'x = t', { text: 'able()', uncached: true })).toBe('able()');
    expect(await at(bench, 'y(', { text: 'otal' })).toBe('otal');
    expect(await at(bench, 'x = t', { text: 'imes' })).toBe('imes');
    expect(await at(bench, 'y(', { text: 'imes' })).toBe('otal');
  });

  it('includes explicit requests, which would evict others', async () => {
    const bench = new Bench('');
    expect(await at(bench, 'x = ', { text: 'total' })).toBe('total');
    for (const eagerness of ['quiet', 'balanced', 'eager', 'always'] as const) {
      bench.provider.settings = { ...bench.provider.settings, eagerness };
      expect(await at(bench, 'y(', { text: 'table()' }, INVOKE)).toBe('table()');
    }
    bench.provider.settings = { ...bench.provider.settings, eagerness: DEFAULTS.eagerness };
    expect(await at(bench, 'x = ', { text: 'times' })).toBe('total');
  });
});

describe('an open completion menu', () => {
  it('suppresses an automatic suggestion until the next keystroke without it', async () => {
    const bench = new Bench('x = ');
    bench.menu = true;
    await bench.ask();
    await bench.answer(0, { text: 'total' });
    expect(await bench.textShown()).toBeUndefined();
    bench.type('t');
    await bench.ask();
    expect(await bench.textShown()).toBeUndefined();
    expect(bench.messages).toEqual([]);
    bench.menu = false;
    bench.type('o');
    await bench.ask();
    expect(await bench.textShown()).toBe('tal');
    expect(bench.messages).toEqual(['shown a']);
    expect(bench.asked).toHaveLength(1);
  });

  it('is closed by an explicit request, at once and when the text arrives', async () => {
    const bench = new Bench('x = ');
    bench.menu = true;
    await bench.ask(INVOKE);
    expect(bench.menu).toBe(false);
    bench.menu = true;
    await bench.shows(0, 'total');
    expect(bench.menu).toBe(false);
  });
});

describe('a timer during an explicit request', () => {
  it('shows the text although the user has opened a completion menu', async () => {
    const bench = new Bench('x = ');
    await bench.ask(INVOKE);
    await bench.ask();
    bench.menu = true;
    await bench.shows(0, 'total');
  });
});

describe('the outcome of a shown suggestion', () => {
  async function shown(): Promise<Bench> {
    const bench = new Bench('x = ');
    await bench.ask();
    await bench.answer(0, { text: 'total' });
    expect(await bench.textShown()).toBe('total');
    await later();
    return bench;
  }

  it('is reported after other text is typed, and again after a correction', async () => {
    const bench = await shown();
    bench.type('x');
    await bench.ask();
    bench.text = 'x = ';
    void bench.fetch(AUTOMATIC);
    expect(await bench.textShown()).toBe('total');
    bench.provider.accepted('total');
    expect(bench.messages).toEqual(['shown a', 'typed_over a', 'shown a', 'accepted a']);
  });

  it('is not reported when another user edits the text', async () => {
    const edited = await shown();
    edited.text = 'y = 1\nx = ';
    await edited.ask();
    expect(edited.messages).toEqual(['shown a']);
  });
});

describe('an explicit request right after a keystroke', () => {
  /** The user has requested explicitly, and accepted the start while the rest is generated. */
  async function taken(): Promise<Bench> {
    const bench = new Bench('def f():\n    ');
    await bench.ask(INVOKE);
    await bench.shows(0, 'return');
    bench.type('return');
    await bench.ask();
    return bench;
  }

  it('continues after a part that was accepted while it was generated', async () => {
    const bench = await taken();
    await bench.shows(0, 'return width', ' width');
    expect(bench.asked.map(({ signal }) => signal.aborted)).toEqual([false]);
  });

  it('is not changed by waiters for the previous request', async () => {
    const bench = await taken();
    await bench.ask(INVOKE);
    await bench.answer(0, { text: '', finish_reason: 'superseded' });
    expect(bench.triggers).toEqual(['invoke', 'invoke']);
    expect(bench.asked[1].signal.aborted).toBe(false);
    await bench.shows(1, ' None');
  });

  it('is repeated as an explicit one if the server fails', async () => {
    const bench = await taken();
    bench.availability.failed(new ResponseError('incomplete'));
    await later(2000);
    expect(bench.triggers).toEqual(['invoke', 'invoke']);
  });

  it('is not cancelled by the timer of a new line', async () => {
    const bench = new Bench('def f():');
    await bench.ask();
    bench.type('\n    ');
    void bench.fetch(INVOKE);
    await later(400);
    expect(bench.triggers).toEqual(['automatic', 'invoke']);
    const [, asked] = bench.asked;
    expect(asked.signal.aborted).toBe(false);
    expect(bench.provider.invoked).toBe(true);
    asked.frame({ id: 'a', text: 'return 1' });
    expect(await bench.textShown()).toBe('return 1');
  });

  it('is not cancelled when the server recovers', async () => {
    const bench = new Bench('min(');
    await bench.availability.check();
    bench.availability.failed(new ResponseError('incomplete'));
    void bench.fetch(INVOKE);
    await later(100);
    const [asked, ...others] = bench.asked.filter(({ signal }) => !signal.aborted);
    expect(asked.body.trigger).toBe('invoke');
    expect(others).toEqual([]);
    asked.frame({ id: 'a', text: 'values' });
    expect(await bench.textShown()).toBe('values');
  });

  it('stays explicit until the server can answer it', async () => {
    const bench = new Bench('min(');
    bench.provider.settings = { ...bench.provider.settings, mode: 'on demand' };
    await bench.availability.check();
    await bench.ask(INVOKE);
    bench.asked[0].fail(new ResponseError('incomplete'));
    await later(5000);
    expect(bench.triggers).toEqual(['invoke', 'invoke']);
    await bench.shows(1, 'values');
  });
});

describe('an automatic request without a suggestion', () => {
  it('reports the reason until the next request', async () => {
    const bench = new Bench('min(');
    const reasons: (string | null)[] = [];
    bench.provider.activity.connect((_, { hiddenReason }) => reasons.push(hiddenReason));
    const timings = { total_ms: 10 } as IFrame['timings'];
    await bench.ask();
    await bench.answer(0, { text: '', finish_reason: 'stop', hidden_reason: 'short', timings });
    expect(reasons.at(-1)).toBe('short');
    bench.provider.settings = { ...bench.provider.settings, disabledLanguages: ['python'] };
    bench.text += 'v';
    await bench.ask();
    expect(reasons.at(-1)).toBe('language');
    bench.provider.settings = { ...bench.provider.settings, disabledLanguages: [] };
    bench.text += 'a';
    await bench.ask();
    expect(reasons.at(-1)).toBeNull();
  });
});

describe('a suggestion that names a column', () => {
  it('reports its table until the next request, and again if it is cached', async () => {
    const bench = new Bench('x = orders["');
    const tables: (string | undefined)[] = [];
    bench.provider.activity.connect((_, { table }) => tables.push(table));
    const timings = { total_ms: 10 } as IFrame['timings'];
    await bench.ask();
    await bench.answer(0, { text: 'price"]', finish_reason: 'stop', table: 'orders', timings });
    expect(tables.at(-1)).toBe('orders');
    bench.text += 'q';
    await bench.ask();
    expect(tables.at(-1)).toBeUndefined();
    bench.text = 'x = orders["';
    await bench.ask();
    expect(tables.at(-1)).toBe('orders');
  });
});

describe('an explicit request without a suggestion', () => {
  it.each([
    ['stop', 'nothing'],
    ['deadline', 'timeout']
  ])('reports the reason for %s', async (finish_reason, reason) => {
    const bench = new Bench('min(');
    const declined = declinedBy(bench);
    const timedOut: boolean[] = [];
    bench.provider.activity.connect((_, { isTimedOut }) => timedOut.push(isTimedOut));
    await bench.ask(INVOKE);
    await bench.answer(0, { text: '', finish_reason, timings: { total_ms: 10 } as IFrame['timings'] });
    expect(declined).toEqual([reason]);
    expect(timedOut.at(-1)).toBe(finish_reason === 'deadline');
    await later(TIMEOUT_SHOWN - 10);
    expect(timedOut.at(-1)).toBe(finish_reason === 'deadline');
    await bench.ask(INVOKE);
    expect(timedOut.at(-1)).toBe(false);
  });

  it('is reported as timed out for at most TIMEOUT_SHOWN', async () => {
    const bench = new Bench('min(');
    const timedOut: boolean[] = [];
    const times: (number | null)[] = [];
    bench.provider.activity.connect((_, { isTimedOut, lastMs }) => {
      timedOut.push(isTimedOut);
      times.push(lastMs);
    });
    const timings = { total_ms: 10 } as IFrame['timings'];
    await bench.ask(INVOKE);
    await bench.answer(0, { text: '', finish_reason: 'deadline', timings });
    await later(TIMEOUT_SHOWN - 10);
    await bench.ask(INVOKE);
    await bench.answer(1, { text: '', finish_reason: 'deadline', timings });
    await later(TIMEOUT_SHOWN - 10);
    expect(timedOut.at(-1)).toBe(true);
    await later(10);
    expect(timedOut.at(-1)).toBe(false);
    expect(times.at(-1)).toBeNull();
  });

  it('reports nothing after the focus has left the editor', async () => {
    const bench = new Bench('min(');
    const declined = declinedBy(bench);
    await bench.ask(INVOKE);
    bench.focused = false;
    await bench.answer(0, { text: 'values' });
    expect(declined).toEqual([]);
  });
});

describe('an explicit request while a suggestion is shown', () => {
  /** A suggestion was shown and typed along, and the user requests another one. */
  async function asked(): Promise<Bench> {
    const bench = new Bench('min(v');
    await bench.ask();
    await bench.answer(0, { text: 'alues' });
    bench.type('al');
    expect((await bench.fetch(AUTOMATIC)).items[0].insertText).toBe('ues');
    await bench.ask(INVOKE);
    expect(bench.triggers).toEqual(['automatic', 'invoke']);
    return bench;
  }

  it('keeps the suggestion even if the answer differs', async () => {
    const bench = await asked();
    expect(await bench.textShown()).toBe('ues');
    await bench.answer(1, { id: 'b', text: 'id, best)' });
    expect((await bench.provider.settled())?.text).toBe('ues');
  });

  it('shows the other answer at the second request', async () => {
    const bench = await asked();
    await bench.answer(1, { id: 'b', text: 'id, best)' });
    await bench.ask(INVOKE);
    await bench.shows(2, 'id, best)');
  });

  it('keeps the suggestion and reports the error if the server is not available', async () => {
    const bench = new Bench('min(');
    await bench.ask();
    await bench.answer(0, { text: 'values' });
    const declined = declinedBy(bench);
    bench.health = () => Promise.reject(new ResponseError('incomplete'));
    bench.availability.failed(new ResponseError('incomplete'));
    await bench.ask(INVOKE);
    expect([await bench.textShown(), declined]).toEqual(['values', ['unavailable']]);
    bench.health = () => Promise.resolve(READY);
    await later(5000);
    expect(bench.triggers).toEqual(['automatic', 'invoke']);
    bench.asked[1].frame({ id: 'b', text: 'values, key=len)' });
  });

  it('extends the suggestion if the answer begins with it', async () => {
    const bench = await asked();
    const { token = '' } = (await bench.shown).items[0];
    const stream = bench.provider.stream(token);
    const grown = stream.next();
    bench.asked[1].frame({ id: 'b', text: 'u' });
    bench.asked[1].frame({ id: 'b', text: 'ues, key=len)' });
    expect((await grown).value).toEqual({ response: { insertText: 'ues, key=len)' } });
  });
});

describe('a dismissed suggestion', () => {
  /** A suggestion was shown completely or in part, and the user has pressed Escape. */
  async function dismissed(isWhole = true): Promise<Bench> {
    const bench = new Bench('min(');
    await bench.ask();
    bench.asked[0].frame({ id: 'a', text: 'values' });
    if (isWhole) {
      await bench.answer(-1, { text: 'values' });
    }
    expect(await bench.textShown()).toBe('values');
    bench.provider.dismiss('values');
    await later();
    return bench;
  }

  async function type(bench: Bench, text: string): Promise<void> {
    bench.type(text);
    await bench.ask();
  }

  it('stays hidden while the user types along it, without a request', async () => {
    const bench = await dismissed();
    for (const key of 'val') {
      await type(bench, key);
      expect(await bench.textShown()).toBeUndefined();
    }
    expect(bench.asked).toHaveLength(1);
  });

  it('stays hidden if the server returns it again or longer', async () => {
    const bench = await dismissed(false);
    await type(bench, 'v');
    expect(bench.asked).toHaveLength(2);
    await bench.answer(-1, { text: 'alues, key=len)' });
    expect(await bench.textShown()).toBeUndefined();
  });

  it.each(['x', 'alues\n'])('no longer hides anything once %j was typed', async typed => {
    const bench = await dismissed(false);
    await type(bench, 'v');
    await bench.answer(-1, { text: '' });
    await type(bench, typed);
    await bench.answer(-1, { text: 'values' });
    expect(await bench.textShown()).toBe('values');
  });

  it('is the shown one, which may be an alternative', async () => {
    const bench = new Bench('min(');
    await bench.ask();
    await bench.answer(-1, { text: 'values' });
    expect(await bench.textShown()).toBe('values');
    bench.provider.dismiss('very, long)');
    await type(bench, 'v');
    expect(await bench.textShown()).toBe('alues');
    await type(bench, 'e');
    await bench.answer(-1, { text: 'ry, long)' });
    expect(await bench.textShown()).toBeUndefined();
  });

  it('is not shown by a call just before it was dismissed', async () => {
    const bench = new Bench('min(');
    await bench.ask();
    await bench.answer(-1, { text: 'values' });
    bench.type('v');
    void bench.fetch(AUTOMATIC);
    bench.provider.dismiss('alues');
    expect(await bench.textShown()).toBeUndefined();
  });

  it('is not shown by a call just before it was cancelled', async () => {
    const bench = new Bench('min(');
    await bench.ask();
    await bench.answer(-1, { text: 'values' });
    const before = [...bench.messages];
    bench.type('v');
    void bench.fetch(AUTOMATIC);
    bench.provider.cancel();
    expect(await bench.textShown()).toBeUndefined();
    expect(bench.messages).toEqual([...before, 'dismissed a']);
  });

  it('is shown again at an explicit request', async () => {
    const bench = await dismissed();
    await bench.ask(INVOKE);
    await bench.answer(-1, { text: 'values' });
    expect(await bench.textShown()).toBe('values');
  });
});

describe('a request that is still running at the next keystroke', () => {
  /** Type a text, one keystroke after the other, each with time to send its request. */
  async function typed(...keys: string[]): Promise<Bench> {
    const bench = new Bench('x = ');
    for (const key of ['', ...keys]) {
      bench.type(key);
      await bench.ask();
    }
    return bench;
  }

  const aborted = (bench: Bench) => bench.asked.map(({ signal }) => signal.aborted);

  it('is left for the server to supersede, one at a time', async () => {
    const bench = await typed('v');
    expect(aborted(bench)).toEqual([false, false]);
    expect(aborted(await typed('v', 'a', 'l'))).toEqual([true, true, false, false]);
  });

  it('ends without another request when the server supersedes it', async () => {
    const bench = await typed('v');
    await bench.answer(0, { text: '', finish_reason: 'superseded' });
    await bench.shows(1, 'alues');
    expect(bench.asked.length).toBe(2);
  });

  it('shows none of its later text, even if it matches', async () => {
    const bench = await typed('v');
    bench.asked[0].frame({ id: 'a', text: 'values' });
    await bench.shows(1, 'alid');
  });

  it('has a smaller sequence number than the next one', async () => {
    const bench = await typed('v');
    await bench.ask(INVOKE);
    const [first, ...others] = bench.asked.map(({ body }) => body.sequence);
    expect(others).toEqual([first + 1, first + 2]);
  });

  it('is cancelled with the newer one when the cursor moves away', async () => {
    const bench = await typed('v');
    bench.provider.cancel();
    expect(aborted(bench)).toEqual([true, true]);
  });

  it('is cancelled if the newer text has a cached suggestion', async () => {
    const bench = new Bench('x = ');
    let generating = false;
    bench.provider.activity.connect((_, activity) => (generating = activity.generating));
    await bench.ask();
    await bench.answer(0, { text: 'values' });
    bench.type('n');
    await bench.ask();
    expect(generating).toBe(true);
    bench.text = 'x = ';
    await bench.ask();
    expect(await bench.textShown()).toBe('values');
    expect([bench.asked.length, bench.asked[1].signal.aborted, generating]).toEqual([2, true, false]);
  });

  it('stays open after a request that was never sent', async () => {
    const bench = new Bench('x = ');
    bench.provider.settings = { ...bench.provider.settings, delay: 40 };
    for (const [key, ms] of [
      ['', 41],
      ['v', 20],
      ['a', 41]
    ] as const) {
      bench.type(key);
      void bench.fetch(AUTOMATIC);
      await later(ms);
    }
    expect(bench.asked.map(({ body }) => body.offset)).toEqual([4, 6]);
    expect(aborted(bench)).toEqual([false, false]);
  });

  it('is cancelled when the server fails', async () => {
    const bench = await typed('v');
    bench.availability.failed(new ResponseError('incomplete'));
    expect(aborted(bench)).toEqual([true, true]);
  });
});

describe('a position that was answered before', () => {
  it.each([
    ['is answered without a request', 'a', 2],
    ['is requested again after the model changed', 'b', 3]
  ])('%s', async (_, model, count) => {
    const bench = new Bench('x = ');
    bench.availability.reported({ ...READY, model: 'a' });
    for (const text of ['x = ', 'x = n', 'x = ']) {
      bench.text = text;
      await bench.ask();
      await bench.answer(-1, { text: 'values' });
      if (text === 'x = n') {
        bench.availability.reported({ ...READY, model });
      }
    }
    expect(await bench.textShown()).toBe('values');
    expect(bench.asked.length).toBe(count);
  });
});

describe('a suggestion in another cell', () => {
  /** Call the provider in new cells with the same text, each of which is answered. */
  async function visit(bench: Bench, count: number): Promise<void> {
    for (let cell = 0; cell < count; cell++) {
      bench.editor = Object.create(bench.editor) as CodeEditor.IEditor;
      await bench.ask();
      await bench.answer(-1, { text: 'total' });
    }
  }

  it('cancels the request of the cell that the user has left', async () => {
    const bench = new Bench('x = ');
    await bench.ask();
    await visit(bench, 1);
    expect(bench.asked.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect(await bench.textShown()).toBe('total');
  });

  it('continues if JupyterLab calls for another view, which does not have the focus', async () => {
    const bench = new Bench('x = ');
    const { editor } = bench;
    await bench.ask();
    const { shown } = bench;
    bench.editor = Object.create(editor, { hasFocus: { value: () => false } }) as CodeEditor.IEditor;
    await bench.ask();
    expect(await bench.textShown()).toBeUndefined();
    await bench.answer(0, { text: 'total' });
    expect((await shown).items.map(({ insertText }) => insertText)).toEqual(['total']);
  });

  it('keeps the cached suggestion of the cell after any number of others that were closed', async () => {
    const bench = new Bench('x = ');
    const { editor } = bench;
    await bench.ask();
    await bench.answer(0, { text: 'values' });
    for (let count = 0; count < 5; count++) {
      await visit(bench, 1);
      Object.defineProperty(bench.editor, 'isDisposed', { value: true });
      bench.editor = editor;
    }
    await bench.ask();
    expect(await bench.textShown()).toBe('values');
  });

  it.each([
    ['keeps', 3, 'values'],
    ['forgets', 4, undefined]
  ])('%s the cached suggestion of the cell after %i others', async (_, count, shown) => {
    const bench = new Bench('x = ');
    const { editor } = bench;
    await bench.ask();
    await bench.answer(0, { text: 'values' });
    await visit(bench, count);
    bench.editor = editor;
    await bench.ask();
    await bench.answer(count + 1, { text: '' });
    expect(await bench.textShown()).toBe(shown);
  });
});

describe('the time of the last suggestion', () => {
  it('is reset with the model and with the engine', async () => {
    const bench = new Bench('x = ');
    const times: (number | null)[] = [];
    bench.provider.activity.connect((_, { lastMs }) => times.push(lastMs));
    const answered = async (): Promise<void> => {
      bench.type('1');
      void bench.fetch(AUTOMATIC);
      await later(40);
      await bench.answer(-1, { text: '', timings: { total_ms: 40 } as ITimings });
      expect(times.at(-1)).toBe(40);
    };
    bench.availability.reported({ ...READY, model: '' });
    await answered();
    bench.availability.reported({ ...READY, model: 'a' });
    expect(times.at(-1)).not.toBeNull();
    bench.availability.reported({ ...READY, model: 'b' });
    expect(times.at(-1)).toBeNull();
    await answered();
    bench.availability.reported({ ...READY, model: '' });
    await answered();
    bench.availability.restart();
    expect(times.at(-1)).toBeNull();
  });
});

describe('a new line', () => {
  it.each([
    ['that contains only indentation requests a suggestion', '\n    ', 2],
    ['that was pasted with code requests one only once', '\n    pass', 1]
  ])('%s', async (_, inserted, asked) => {
    const bench = new Bench('def f():');
    await bench.ask();
    bench.type(inserted);
    await later(100);
    expect(bench.triggers).toEqual(Array(asked).fill('automatic'));
  });
});

describe('a new cell', () => {
  const SAME = () => undefined;

  /** Give the focus to an editor below another cell, with or without an event after the completer gets it. */
  async function focused(
    above: string,
    type: string,
    before: (bench: Bench) => void,
    isLate = true
  ): Promise<Bench> {
    const bench = new Bench('');
    const cell = (kind: string, source: () => string, editor: CodeEditor.IEditor | null) => ({
      editor,
      model: { type: kind, sharedModel: { getSource: source } }
    });
    const widgets = [cell('code', () => above, null), cell(type, () => bench.text, bench.editor)];
    const panel = Object.create(NotebookPanel.prototype) as Widget;
    bench.page.widget = Object.assign(panel, { content: { widgets } });
    bench.focused = !isLate;
    bench.provider.watch(bench.editor);
    if (isLate) {
      await later(500);
      bench.focused = true;
      bench.editor.host.dispatchEvent(new Event('focusin'));
    }
    await later(50);
    before(bench);
    await later(500);
    return bench;
  }

  const change = (settings: Partial<ISettings>) => (bench: Bench) =>
    void (bench.provider.settings = { ...bench.provider.settings, ...settings });

  it.each<[string, string, string, (bench: Bench) => void, string[]]>([
    ['with text above requests a suggestion', 'x = 1', 'code', SAME, ['automatic']],
    ['without text above requests none', ' ', 'code', SAME, []],
    ['of markdown requests none', 'x = 1', 'markdown', SAME, []],
    ['that gets text requests none', 'x = 1', 'code', bench => void (bench.text = 'y'), []],
    ['that loses the focus requests none', 'x = 1', 'code', bench => void (bench.focused = false), []],
    ['requests none with the setting off', 'x = 1', 'code', change({ newCells: false }), []],
    ['requests none with suggestions on demand', 'x = 1', 'code', change({ mode: 'on demand' }), []]
  ])('%s', async (_, above, type, before, triggers) => {
    expect((await focused(above, type, before)).triggers).toEqual(triggers);
  });

  it('that had the focus before its completer requests a suggestion', async () => {
    expect((await focused('x = 1', 'code', SAME, false)).triggers).toEqual(['automatic']);
  });
});

describe('the first suggestion of a browser model', () => {
  it('is shown once the model is downloaded, without another keystroke', async () => {
    const entry = { name: 'characters', url: 'base.gguf', sha256: 'a'.repeat(64), size: 6 };
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify({ models: [entry] }))));
    const worker = new FakeWorker();
    worker.stuck = { phase: 'downloading', received: 3, total: 6 };
    const client = new LocalClient({
      catalogue: 'https://site.test/models.json',
      connect: () => worker,
      progress: () => {
        if (bench.availability.state.health?.phase !== 'loading') {
          void bench.availability.check();
        }
      },
      opened: () => void bench.availability.check()
    });
    const bench: Bench = new Bench('answer = ', client);
    bench.provider.settings = { ...bench.provider.settings, eagerness: 'always' };
    bench.health = () => client.health();
    await bench.availability.check();
    void bench.fetch(AUTOMATIC);
    await later(10);
    expect(bench.availability.open).toBe(false);
    worker.arrive();
    await later(400);
    expect(await bench.textShown()).toBe('yes');
  });
});

describe('the announcement of a suggestion', () => {
  /** Request at `m` and stream the start of a text; announcements are added to `message`. */
  async function streaming() {
    const bench = new Bench('m');
    const message: string[] = [];
    bench.provider.completed.connect((_, { text, imports }) => message.push([text, ...imports].join(' | ')));
    await bench.ask();
    await bench.shows(0, 's');
    return { bench, message };
  }

  it('is made once, when the text is complete', async () => {
    const { bench, message } = await streaming();
    expect(message).toEqual([]);
    await bench.answer(0, { text: 's np', imports: ['import numpy as np'] });
    await bench.fetch(AUTOMATIC);
    expect(message).toEqual(['s np | import numpy as np']);
  });

  it('omits the text that was typed meanwhile', async () => {
    const { bench, message } = await streaming();
    bench.asked[0].frame({ id: 'a', text: 's np' });
    bench.type('s');
    await bench.fetch(AUTOMATIC);
    bench.asked[0].end();
    await later();
    expect(message).toEqual([' np']);
  });

  it('is repeated after a part was accepted', async () => {
    const { bench, message } = await streaming();
    await bench.answer(0, { text: 's np' });
    const stands = bench.provider.accepted('s', null);
    bench.type('s');
    stands();
    await bench.fetch(AUTOMATIC);
    expect(message).toEqual(['s np', ' np']);
  });

  it('is omitted if the editor has lost the focus', async () => {
    const { bench, message } = await streaming();
    bench.focused = false;
    await bench.answer(0, { text: 's np' });
    expect(message).toEqual([]);
  });

  it('is omitted if another suggestion replaces it before it is complete', async () => {
    const { bench, message } = await streaming();
    bench.type('x');
    await bench.ask();
    await bench.answer(1, { id: 'b', text: ' = 1' });
    expect(message).toEqual([' = 1']);
  });
});

describe('a text that replaced the selection', () => {
  it('is requested although it differs far from the cursor', async () => {
    const bench = new Bench('import numpy as np\nnp.');
    void bench.fetch(AUTOMATIC);
    await later(1000);
    bench.select();
    await later();
    bench.selected = false;
    bench.text = 'import pandas as np\nnp';
    bench.type('.');
    void bench.fetch(AUTOMATIC);
    await later(1000);
    expect(bench.asked).toHaveLength(2);
  });
});

describe('prefetching', () => {
  it('evaluates the prompt of an editor in which the user stays', async () => {
    const passed = new Bench('x = ');
    passed.provider.warmUp(passed.editor);
    await later(50);
    passed.text = 'stayed = ';
    passed.provider.warmUp(passed.editor);
    await later(500);
    expect(passed.prefetched.map(({ trigger, offset }) => [trigger, offset])).toEqual([['warmup', 9]]);
  });

  it.each([
    ['has lost the focus', (one: Bench) => (one.focused = false)],
    ['has a request', (one: Bench) => void one.fetch(AUTOMATIC)]
  ])('evaluates no prompt for an editor that %s', async (_, change) => {
    const one = new Bench('x = ');
    one.provider.warmUp(one.editor);
    change(one);
    await later(500);
    expect(one.prefetched).toEqual([]);
  });

  it('evaluates the prompt of a cell after a suggestion in another', async () => {
    const one = new Bench('x = ');
    await one.ask();
    await one.answer(0, { text: '' });
    one.provider.warmUp(Object.create(one.editor) as CodeEditor.IEditor);
    await later(500);
    expect(one.prefetched.map(({ trigger }) => trigger)).toEqual(['warmup']);
  });

  it('ends with all other requests', async () => {
    const one = new Bench('x = ');
    one.provider.warmUp(one.editor);
    one.provider.cancelAll();
    await later(500);
    expect(one.prefetched).toEqual([]);
  });

  it('continues after a suggestion as if the user had accepted it', async () => {
    const one = new Bench('x = ');
    await one.ask();
    await one.answer(0, { text: '1 + ' });
    expect(one.prefetched.map(({ trigger, offset }) => [trigger, offset])).toEqual([['prefetch', 8]]);
    expect(one.prefetched[0].sequence).toBeGreaterThan(one.asked[0].body.sequence);
  });

  it('does not send a text of the kernel', async () => {
    const one = new Bench("config['le");
    await one.ask();
    await one.answer(0, { text: "arning_rate'", read: true });
    expect(one.prefetched).toEqual([]);
  });
});

describe('the other documents of a prompt', () => {
  it('are read again after the metadata of one have changed', async () => {
    const bench = new Bench('x = ');
    bench.others = [{ path: 'other.ipynb', language: 'python', source: 'y' }];
    await bench.ask();
    bench.others = [];
    bench.provider.documentChanged();
    bench.type('1');
    await bench.ask();
    expect(bench.asked.map(({ body }) => body.documents.length)).toEqual([1, 0]);
  });
});

describe('a request that the administrator does not allow', () => {
  const DENIAL = new ServerError(403, 'disabled', 'Off.');

  /** A request was denied. */
  async function denied(kernel: string | null = 'k'): Promise<Bench> {
    const bench = new Bench('x = ');
    bench.kernel = kernel;
    await bench.ask();
    bench.asked[0].fail(DENIAL);
    await later();
    return bench;
  }

  it('is sent once, and again only if the user requests a suggestion', async () => {
    const bench = await denied();
    const declined = declinedBy(bench);
    bench.type('1');
    await bench.ask();
    expect(bench.triggers).toEqual(['automatic']);
    expect([...bench.provider.denied.keys()]).toEqual(['a.py']);
    expect(bench.availability.open).toBe(true);
    await bench.ask(INVOKE);
    bench.asked[1].fail(DENIAL);
    await later();
    expect(declined).toEqual(['denied']);
    await bench.ask(INVOKE);
    await bench.answer(2, { text: ' + 1' });
    expect(await bench.textShown()).toBe(' + 1');
    expect([...bench.provider.denied]).toEqual([]);
  });

  it('is not sent again after the kernel of its document has started', async () => {
    const bench = await denied(null);
    bench.kernel = 'k';
    await bench.ask();
    expect(bench.asked).toHaveLength(1);
  });

  it('stays denied after a minute while no request is sent', async () => {
    const bench = await denied();
    vi.advanceTimersByTime(60000);
    bench.provider.paused.add('a.py');
    await bench.ask();
    expect(bench.asked).toHaveLength(1);
    expect([...bench.provider.denied.keys()]).toEqual(['a.py']);
  });

  it.each<[string, (bench: Bench) => void]>([
    ['the document has another kernel', bench => void (bench.kernel = 'other')],
    ['a minute', () => void vi.advanceTimersByTime(60000)],
    [
      'the server is available again',
      bench => {
        bench.availability.failed(new ResponseError('unreachable'));
        bench.availability.reported(READY);
      }
    ],
    [
      'another engine is available',
      bench => {
        bench.availability.restart();
        bench.availability.reported(READY);
      }
    ]
  ])('is sent again after %s', async (_, change) => {
    const bench = await denied();
    bench.type('1');
    await bench.ask();
    expect(bench.asked).toHaveLength(1);
    change(bench);
    await bench.ask();
    await bench.answer(1, { text: ' + 1' });
    expect(await bench.textShown()).toBe(' + 1');
  });
});

describe('a request for alternatives', () => {
  it('is declined where no suggestions are requested', () => {
    const { provider, editor, text } = new Bench('x = ');
    const request = { text, offset: text.length, mimeType: 'text/x-python' };
    const context = { editor, widget: { context: { path: 'a.py' } }, triggerKind: INVOKE };
    const isDeclined = () => provider.declinesAlternatives(request, context as unknown as IContext);
    expect(isDeclined()).toBe(false);
    provider.paused.add('a.py');
    expect(isDeclined()).toBe(true);
  });
});

describe('stop', () => {
  it('aborts the requests in flight, and sends none until resume', async () => {
    const bench = new Bench('x = ');
    const declined = declinedBy(bench);
    await bench.ask();
    bench.provider.stop();
    await later();
    expect(bench.asked[0].signal.aborted).toBe(true);
    await bench.ask();
    await bench.ask(INVOKE);
    expect(declined).toEqual(['stopped']);
    expect(bench.asked.length).toBe(1);
    bench.provider.resume();
    await bench.ask();
    await bench.answer(1, { text: '1' });
    expect(await bench.textShown()).toBe('1');
  });

  it('sends no feedback on the accepted and the shown suggestion', async () => {
    const bench = new Bench('x = ');
    await bench.ask();
    await bench.answer(0, { text: 'total' });
    await bench.textShown();
    const inserted = bench.provider.accepted('total', null);
    bench.type('total');
    inserted();
    await bench.ask();
    await bench.answer(-1, { id: 'b', text: '(values)' });
    await bench.textShown();
    expect(bench.messages).toEqual(['shown a', 'accepted a', 'shown b']);
    bench.provider.stop();
    bench.type('k');
    bench.provider.outcomes.settle();
    expect(bench.messages).toHaveLength(3);
  });
});
