import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DEFAULTS } from '../settings';
import type { ICheckRequest, IFinding } from '../wire';
import { NotebookCheck } from './check';
import { executionsOf } from './notebook';
import { openNotebook, partsOf } from './testing/notebook';
import { FakeOffer } from './testing/offer';

vi.mock('../document', () => ({ languageOfNotebook: () => 'python' }));
vi.mock('./offer', async () => ({
  Offer: (await import('./testing/offer')).FakeOffer,
  scrollTo: () => undefined
}));
vi.mock('../elements', () => ({
  element: () => ({
    textContent: '',
    append(text: string) {
      this.textContent += text;
    }
  }),
  withCode: (text: string) => [text]
}));
const marks = new Map<unknown, string[]>();
let isHeld: (message: string, isTyping: boolean) => boolean;
vi.mock('./findings', () => ({
  showMarks: (editor: unknown, _: string, findings: IFinding[], __: unknown, isTyping = false) => {
    const held = findings.filter(({ message }) => isHeld(message, isTyping));
    const shown = findings.filter(finding => !held.includes(finding));
    marks.set(
      editor,
      shown.map(({ message }) => message)
    );
    return held;
  }
}));

describe('NotebookCheck', () => {
  const SOURCES = ['totel', 'first\nsecond'];
  let notebook: ReturnType<typeof openNotebook>['notebook'];
  let panel: ReturnType<typeof openNotebook>['panel'];
  let fakes: ReturnType<typeof partsOf>['fakes'];
  let requests: ICheckRequest[];
  let sent: string[];
  let log: string[];
  let aborted: AbortSignal;
  let found: IFinding[];
  let unanswered: boolean;
  let meanwhile: () => void;
  let kernel: { status: string };
  let line: number;
  const signal = () => new Signal<object, unknown>({});
  let content: {
    activeCell: (typeof panel)['content']['widgets'][number];
    activeCellChanged: Signal<object, unknown>;
  };
  let session: Record<'iopubMessage' | 'statusChanged', Signal<object, unknown>>;

  const findingAt = (message: string, fix: [start: number, old: string, text: string] | null): IFinding => ({
    start: 0,
    end: 5,
    message,
    fixes: fix
      ? [
          {
            title: `Did you mean '${fix[2]}'?`,
            source: 'kernel',
            confidence: 1,
            edits: [{ cell: 0, start: fix[0], end: fix[0] + fix[1].length, old: fix[1], text: fix[2] }],
            run: []
          }
        ]
      : []
  });
  const MISSPELLED = findingAt('No `totel`.', [0, 'totel', 'total']);

  beforeEach(() => {
    vi.useFakeTimers();
    vi.clearAllTimers();
    FakeOffer.shown.splice(0);
    marks.clear();
    [requests, sent, log, found, unanswered, line] = [[], [], [], [MISSPELLED], false, 0];
    meanwhile = () => undefined;
    isHeld = () => false;
    const opened = openNotebook(SOURCES, log);
    ({ notebook, panel } = opened);
    kernel = Object.assign(opened.kernel, { status: 'idle' });
    for (const { model, editor } of panel.content.widgets) {
      Object.assign(model, { selections: { changed: signal() } });
      Object.assign(editor, { getCursorPosition: () => ({ line, column: 0 }) });
    }
    content = Object.assign(panel.content, {
      activeCell: panel.content.widgets[0],
      activeCellChanged: signal()
    });
    session = Object.assign(panel.sessionContext, { iopubMessage: signal(), statusChanged: signal() });
    Object.assign(panel, { isVisible: true });
    const check = (request: ICheckRequest, signal: AbortSignal) => {
      requests.push(request);
      aborted = signal;
      return Promise.resolve().then(() => {
        meanwhile();
        return { id: `check-${requests.length}`, findings: unanswered ? [] : found, unanswered };
      });
    };
    const { parts, ...others } = partsOf({ check }, sent, log);
    ({ fakes } = others);
    new NotebookCheck(parts, panel as never);
  });

  const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);
  const type = (text: string, cell = 0) => notebook.cells[cell].updateSource(0, 0, text);
  const shown = () => FakeOffer.shown.at(-1);
  const marksOf = (index: number) => marks.get(panel.content.widgets[index].editor);

  /** Move the cursor. */
  function moveTo(to: number): void {
    line = to;
    const model = content.activeCell.model as unknown as { selections: { changed: Signal<object, unknown> } };
    model.selections.changed.emit(null);
  }

  const focus = () => panel.content.node.dispatchEvent(new Event('focusin'));
  const failing = () => {
    throw new Error('no answer');
  };

  function activate(index: number): void {
    content.activeCell = panel.content.widgets[index];
    content.activeCellChanged.emit(null);
  }

  it('checks the whole cell two seconds after the last edit', async () => {
    await pass(1500);
    type(' ');
    await pass(1900);
    expect(requests).toEqual([]);
    await pass(200);
    expect(requests.map(({ active }) => active)).toEqual([0]);
    expect(requests[0].cells.map(({ changed }) => changed)).toEqual([false, false]);
    await pass(60_000);
    expect(requests).toHaveLength(1);
  });

  it('checks a line that the cursor has left, and shows nothing in the line in which the user types', async () => {
    found = [MISSPELLED, findingAt('No `valeu`.', null)];
    isHeld = (message, isTyping) => isTyping && message === 'No `valeu`.';
    await pass(2100);
    type('\n');
    moveTo(1);
    for (let typed = 0; typed < 4; typed++) {
      type(' ');
      await pass(300);
    }
    expect(requests).toHaveLength(2);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    await pass(2100);
    expect(requests).toHaveLength(3);
    expect(marksOf(0)).toEqual(['No `totel`.', 'No `valeu`.']);
  });

  it('marks the name, and offers the correction', async () => {
    await pass(2100);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(shown()?.content?.question).toBe("No `totel`. Did you mean 'total'?");
    expect(log).toEqual(["No `totel`. Did you mean 'total'? Press Alt+. to apply."]);
    expect(shown()?.revealed).toBe(1);
    meanwhile = () => (found = requests.length < 3 ? found : []);
    shown()?.primary?.();
    await pass(0);
    expect(notebook.cells[0].getSource()).toBe('total');
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
    expect(sent).toEqual(['check-1 shown', 'check-1 applied']);
  });

  const UNCONFIRMED = 'The kernel does not confirm this problem. Nothing was applied.';

  it.each<[string, () => void, string[]]>([
    ['the server no longer has the finding', () => (found = []), []],
    [
      'the server has another correction',
      () => (found = [findingAt('No `totel`.', [0, 'totel', 'motel'])]),
      ['No `totel`.']
    ],
    [
      'the server has it at another place',
      () => (found = [findingAt('No `totel`.', [8, 'totel', 'total'])]),
      ['No `totel`.']
    ],
    ['the kernel is busy', () => (kernel.status = 'busy'), []],
    ['the kernel does not answer', () => (unanswered = true), []],
    ['the request fails', () => (meanwhile = failing), []],
    ['a cell is run meanwhile', () => (meanwhile = () => start()), []]
  ])('applies nothing if %s', async (_, change, left) => {
    notebook.cells[0].updateSource(5, 5, ' + totel');
    await pass(2100);
    const offer = shown();
    change();
    offer?.primary?.();
    await pass(0);
    expect(notebook.cells[0].getSource()).toBe('totel + totel');
    expect(offer?.isDisposed).toBe(true);
    expect(log.slice(-1)).toEqual([UNCONFIRMED]); // as a notice, which screen readers read
    expect(marksOf(0)).toEqual(left);
  });

  it('keeps the offer, and applies nothing, if another line is edited meanwhile', async () => {
    notebook.cells[0].updateSource(5, 5, '\n');
    await pass(2100);
    meanwhile = () => notebook.cells[0].updateSource(6, 6, '#');
    shown()?.primary?.();
    await pass(0);
    expect(notebook.cells[0].getSource()).toBe('totel\n#');
    expect(log).toHaveLength(1);
    meanwhile = () => undefined;
    shown()?.primary?.();
    await pass(0);
    expect(notebook.cells[0].getSource()).toBe('total\n#');
  });

  it('asks once while the shortcut is held down', async () => {
    await pass(2100);
    shown()?.primary?.();
    shown()?.primary?.();
    expect(requests).toHaveLength(2);
    await pass(0);
    expect(notebook.cells[0].getSource()).toBe('total');
  });

  it('shows a finding at the cursor once the cursor has left it', async () => {
    isHeld = () => true;
    await pass(2100);
    expect([marksOf(0), shown(), log]).toEqual([[], undefined, []]);
    isHeld = () => false;
    moveTo(1);
    await pass(0);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(shown()?.content?.question).toBe("No `totel`. Did you mean 'total'?");
    expect(log).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });

  it('shows nothing of an earlier answer after an edit', async () => {
    isHeld = () => true;
    await pass(2100);
    isHeld = () => false;
    type('x');
    moveTo(1);
    await pass(0);
    expect(marksOf(0)).toEqual([]);
  });

  it('shows a finding beside a suggestion once that is gone', async () => {
    isHeld = () => true;
    await pass(2100);
    isHeld = () => false;
    fakes.completers.rendered.emit(null);
    await pass(0);
    expect(marksOf(0)).toEqual(['No `totel`.']);
  });

  it('asks about the marks again when the notebook gets the focus', async () => {
    await pass(2100);
    found = [];
    focus();
    await pass(0);
    expect(requests).toHaveLength(2);
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
    focus();
    expect(requests).toHaveLength(2);
  });

  it('asks about the marks of other cells again after an edit', async () => {
    await pass(2100);
    activate(1);
    await pass(2100);
    type('x', 1);
    found = [];
    await pass(2100);
    expect(requests.slice(2).map(({ active }) => active)).toEqual([1, 0]);
    expect(marksOf(0)).toEqual([]);
  });

  it('removes the marks if a further check fails', async () => {
    await pass(2100);
    meanwhile = failing;
    notebook.cells[0].updateSource(5, 5, '\n');
    await pass(2100);
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
  });

  it.each<[string, () => void]>([
    ['is busy', () => (kernel.status = 'busy')],
    ['does not answer', () => (unanswered = true)]
  ])('keeps the marks while the kernel %s, and asks about them again', async (_, change) => {
    await pass(2100);
    const offer = shown();
    change();
    focus();
    await pass(0);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(shown()).toBe(offer);
    [kernel.status, unanswered, found] = ['idle', false, []];
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
  });

  it('checks a cell once again that the kernel has not answered about', async () => {
    unanswered = true;
    meanwhile = () => session.statusChanged.emit('idle');
    type(' ');
    await pass(60_000);
    expect(requests).toHaveLength(2);
    requests.splice(0);
    meanwhile = () => undefined;
    type(' '); // a check of another page replaces the next one
    await pass(60_000);
    expect(requests.map(({ active }) => active)).toEqual([0]);
    unanswered = false;
    activate(1);
    await pass(1100);
    expect(requests.map(({ active }) => active)).toEqual([0, 0]);
    expect(marksOf(0)).toEqual(['No `totel`.']);
  });

  it('keeps the marks of a second cell while the question about the first occupies the kernel', async () => {
    type(' ');
    activate(1);
    await pass(2100);
    meanwhile = () => (kernel.status = 'busy');
    focus();
    await pass(0);
    expect([marksOf(1), marksOf(0)]).toEqual([['No `totel`.'], ['No `totel`.']]);
    meanwhile = () => undefined;
    [kernel.status, found] = ['idle', []];
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(marksOf(0)).toEqual([]);
  });

  it('aborts a check in flight when its notebook is closed', async () => {
    meanwhile = () => {
      const { aborted: before } = aborted;
      panel.disposed.emit(null);
      log.push(`${before} ${aborted.aborted}`);
    };
    await pass(2100);
    expect(log[0]).toBe('false true');
  });

  it('keeps the offer of the same finding, and announces it once', async () => {
    await pass(2100);
    const first = shown();
    notebook.cells[0].updateSource(5, 5, '\n# more');
    await pass(2100);
    expect(requests).toHaveLength(2);
    const again = shown();
    type('x');
    expect(shown()).toBeUndefined();
    found = [findingAt('No `totel`.', [1, 'totel', 'total'])];
    await pass(2100);
    expect(again).toBe(first);
    expect(shown()).not.toBe(first);
    expect(log).toHaveLength(1);
  });

  it('announces a finding without a correction, and offers none', async () => {
    found = [findingAt('No `totel`.', null)];
    await pass(2100);
    expect(log).toEqual(['No `totel`.']);
    expect(shown()).toBeUndefined();
  });

  it('does not show a dismissed finding again, and keeps the marks of other cells', async () => {
    type(' ', 1);
    await pass(2100);
    marks.set(panel.content.widgets[1].editor, ['other']);
    shown()?.dismiss();
    expect([marksOf(0), marksOf(1)]).toEqual([[], ['other']]);
    await pass(2100);
    expect(requests).toHaveLength(2);
    expect(marksOf(0)).toEqual([]);
    expect(sent.at(-1)).toBe('check-1 dismissed');
  });

  it('shows a dismissed finding again if its code is typed again', async () => {
    await pass(2100);
    shown()?.dismiss();
    notebook.cells[0].setSource('');
    await pass(100);
    notebook.cells[0].setSource('totel');
    await pass(2100);
    expect(shown()?.label).toContain('No `totel`.');
  });

  it('shows nothing if the cell is edited meanwhile', async () => {
    meanwhile = () => type('x');
    await pass(2100);
    expect(marks.size).toBe(0);
  });

  it('checks an edited cell that the cursor has left, names it, and offers nothing in it', async () => {
    type(' ');
    activate(1);
    type('x', 1);
    await pass(1100);
    type('x', 1);
    expect(requests.map(({ active }) => active)).toEqual([0]);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(log).toEqual(["Cell 1: No `totel`. Did you mean 'total'?"]);
    expect(shown()).toBeUndefined();
  });

  it('does not check a cell that the user leaves to run it', async () => {
    type(' ');
    const { activeCell } = content;
    activate(1);
    await pass(100);
    ran(activeCell);
    await pass(1800);
    expect(requests).toEqual([]);
  });

  it('checks a left cell, too, when the kernel is idle again', async () => {
    kernel.status = 'busy';
    type(' ');
    activate(1);
    await pass(5000);
    kernel.status = 'idle';
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(requests.map(({ active }) => active)).toEqual([1, 0]);
  });

  it('ignores an edited cell that is deleted', async () => {
    const failed = vi.fn();
    process.once('unhandledRejection', failed);
    type(' ');
    panel.content.model.cells.splice(0, 1);
    activate(1);
    await pass(1900);
    expect(requests).toEqual([]);
    expect(failed).not.toHaveBeenCalled();
    process.off('unhandledRejection', failed);
  });

  it('ignores a cell that is disposed, whose model is then null', async () => {
    const [cell] = panel.content.widgets;
    type(' ');
    moveTo(1);
    panel.content.model.cells.splice(0, 1);
    Object.assign(cell, { model: null, isDisposed: true });
    await pass(1900);
    activate(1);
    await pass(1900);
    expect(requests).toEqual([]);
  });

  it('checks a notebook only while it is visible', async () => {
    Object.assign(panel, { isVisible: false });
    await pass(5000);
    expect(requests).toEqual([]);
    Object.assign(panel, { isVisible: true });
    fakes.offers.switched.emit(); // the current tab has changed
    await pass(2100);
    expect(requests).toHaveLength(1);
  });

  it('checks a left line again if an edit has aborted the check', async () => {
    await pass(2100);
    type('\n');
    moveTo(1);
    await pass(900);
    meanwhile = () => {
      meanwhile = () => undefined;
      type(' ');
    };
    for (let typed = 0; typed < 5; typed++) {
      type(' ');
      await pass(400);
    }
    expect(requests).toHaveLength(3);
    expect(marksOf(0)).toEqual(['No `totel`.']);
  });

  it('limits the time of a request', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    await pass(2100);
    expect(timeout).toHaveBeenCalledOnce();
  });

  it.each<[string, () => void]>([
    ['the cell has run meanwhile', () => ran()],
    ['the setting is off meanwhile', () => (fakes.preferences.current = { ...DEFAULTS, suggestFixes: false })]
  ])('shows nothing if %s', async (_, change) => {
    meanwhile = change;
    await pass(2100);
    expect(requests).toHaveLength(1);
    expect(marksOf(0) ?? []).toEqual([]);
  });

  /** Add an offer of another kind. */
  function addOther(cell: number): FakeOffer {
    const other = new FakeOffer(panel, panel.content.widgets[cell]);
    other.primary = () => undefined;
    fakes.offers.add(other as never, 'suggestRepeats', () => true);
    return other;
  }

  it('marks without an offer while the cell has another one', async () => {
    const other = addOther(0);
    await pass(2100);
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(FakeOffer.shown).toEqual([other]);
    expect(log).toEqual(["No `totel`. Did you mean 'total'?"]);
  });

  it('takes the shortcut from an offer of another cell after an edit, and announces this', async () => {
    const other = addOther(1);
    await pass(2100);
    expect(FakeOffer.shown).toEqual([other]);
    type(' ');
    notebook.cells[0].updateSource(0, 1, '');
    await pass(2100);
    expect(FakeOffer.shown).toEqual([other, shown()]);
    expect(fakes.offers.newestIn(panel.content as never)).toBe(shown());
    expect(log.map(text => text.includes('Press Alt+. to apply.'))).toEqual([false, true]);
  });

  it('offers a correction when the other offer is gone', async () => {
    const other = addOther(1);
    type(' ');
    notebook.cells[0].updateSource(0, 1, '');
    other.dispose();
    await pass(2100);
    expect(fakes.offers.newestIn(panel.content as never)).toBe(shown());
  });

  it('leaves the shortcut to a later offer of another kind in the cell', async () => {
    await pass(2100);
    const other = addOther(0);
    expect(fakes.offers.newestIn(panel.content as never)).toBe(other);
  });

  it('announces the first new finding and the number of the others, again once it was gone', async () => {
    const both = (found = [MISSPELLED, findingAt('No `valeu`.', null)]);
    await pass(2100);
    expect(log).toEqual(["No `totel`. Did you mean 'total'? Press Alt+. to apply. 1 more problem."]);
    found = [both[0]];
    type(' ');
    await pass(2100);
    expect(log).toHaveLength(1);
    found = both;
    type(' ');
    await pass(2100);
    expect(log.slice(1)).toEqual(['No `valeu`.']);
  });

  it('waits until the kernel is idle', async () => {
    kernel.status = 'busy';
    await pass(5000);
    expect(requests).toEqual([]);
    kernel.status = 'idle';
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(requests).toHaveLength(1);
    for (let message = 0; message < 50; message++) {
      session.statusChanged.emit('busy');
      session.statusChanged.emit('idle');
      await pass(100);
    }
    expect(requests).toHaveLength(1);
  });

  it.each<[string, () => void]>([
    ['a cell is run', () => start()],
    ['the kernel restarts', () => session.statusChanged.emit('restarting')]
  ])('removes the findings when %s', async (_, change) => {
    await pass(2100);
    change();
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
    await pass(2100);
    expect(requests).toHaveLength(2);
  });

  /** The user runs a cell. */
  const start = (index = 1) =>
    executionsOf(panel.content.model as never).scheduled(panel.content.widgets[index].model);

  /** The kernel executes code. */
  const execute = () => session.iopubMessage.emit({ header: { msg_type: 'execute_input' } });

  it('keeps the findings when an extension executes code, and checks again', async () => {
    await pass(2100);
    const first = shown();
    execute();
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(shown()).toBe(first);
    found = [];
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(requests).toHaveLength(2);
    expect(marksOf(0)).toEqual([]);
  });

  it('checks all cells with findings again after an execution', async () => {
    type(' ');
    activate(1);
    await pass(2100);
    const { length } = requests;
    start();
    expect(marksOf(0)).toEqual([]);
    session.statusChanged.emit('idle');
    await pass(2100);
    expect(
      requests
        .slice(length)
        .map(({ active }) => active)
        .sort()
    ).toEqual([0, 1]);
    expect(marksOf(0)).toEqual(['No `totel`.']);
  });

  it('checks a cell with findings again that was left before the end of a later check', async () => {
    await pass(2100);
    for (const index of [1, 0, 1]) {
      activate(index);
      await pass(100);
    }
    start();
    await pass(2100);
    expect(requests.map(({ active }) => active)).toEqual([0, 0, 1]);
  });

  it('removes the findings of a cell that another page has run', async () => {
    await pass(2100);
    content.activeCell.model.executionCount = 1;
    execute();
    await pass(2100);
    expect(marksOf(0)).toEqual([]);
    expect(requests).toHaveLength(1);
  });

  it('ends with the notebook', async () => {
    type(' ');
    panel.disposed.emit(null);
    session.statusChanged.emit('idle');
    await pass(5000);
    expect(requests).toEqual([]);
  });

  it('shows a finding that was dismissed in another cell', async () => {
    await pass(2100);
    shown()?.dismiss();
    activate(1);
    await pass(2100);
    expect(marksOf(1)).toEqual(['No `totel`.']);
  });

  it('removes the findings that a changed setting does not allow, and only those', async () => {
    await pass(2100);
    fakes.offers.removeDisallowed();
    expect(marksOf(0)).toEqual(['No `totel`.']);
    expect(shown()).toBeDefined();
    fakes.preferences.current = { ...DEFAULTS, suggestFixes: false };
    fakes.offers.removeDisallowed();
    expect(marksOf(0)).toEqual([]);
    expect(shown()).toBeUndefined();
  });

  it.each<[string, () => void]>([
    ['the setting is off', () => (fakes.preferences.current = { ...DEFAULTS, suggestFixes: false })],
    ['the server does not offer it', () => (fakes.availability.state.health = { fixes: false })],
    ['the cell has run as it is', () => ran()]
  ])('does not check if %s', async (_, change) => {
    change();
    await pass(5000);
    expect(requests).toEqual([]);
  });

  function ran({ model } = content.activeCell): void {
    executionsOf(panel.content.model as never).scheduled(model);
    model.executionCount = 1;
    executionsOf(panel.content.model as never).executed(model);
  }

  it('checks a cell again that was edited after its run', async () => {
    ran();
    await pass(5000);
    type('x');
    await pass(2100);
    expect(requests.map(({ cells }) => cells[0].changed)).toEqual([true]);
  });

  it('checks a cell that ran before the page was opened only after an edit', async () => {
    content.activeCell.model.executionCount = 3;
    await pass(5000);
    expect(requests).toEqual([]);
    type('x');
    await pass(2100);
    expect(requests.map(({ cells }) => cells.map(({ changed }) => changed))).toEqual([[null, false]]);
    execute();
    await pass(2100);
    expect(requests).toHaveLength(2);
  });
});
