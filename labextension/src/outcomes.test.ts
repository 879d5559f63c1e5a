import type { CodeEditor } from '@jupyterlab/codeeditor';
import { describe, expect, it, vi } from 'vitest';
import { SuggestionRequest } from './inflight';
import type { IStep } from './kept';
import { LATER, Outcomes, PAUSE, TYPING } from './outcomes';
import { Suggestion } from './suggestion';
import type { IFeedback } from './wire';

type Slot = (sender: unknown, change: { sourceChange?: IStep[] }) => void;

/** An editor for typing, the outcomes of a suggestion, and a fake clock. */
class Desk {
  constructor(public text: string) {
    const changed = {
      connect: (slot: Slot) => this.slots.push(slot),
      disconnect: (slot: Slot) => (this.slots = this.slots.filter(one => one !== slot))
    };
    this.editor = {
      isDisposed: false,
      host: this.host,
      getCursorPosition: () => this.offset,
      getOffsetAt: (position: number) => position,
      model: { sharedModel: { getSource: () => this.text, changed } }
    } as unknown as CodeEditor.IEditor;
    this.offset = text.length;
    this.outcomes.watch(this.editor);
  }

  /** A suggestion that is shown at the cursor. */
  show(text: string, id = 'id'): SuggestionRequest {
    const suggestion = new Suggestion({ text: this.text, offset: this.offset }, text);
    const request = new SuggestionRequest(this.editor, suggestion, 'automatic', id);
    this.outcomes.shown(request);
    return request;
  }

  insert(text: string, at = this.offset): void {
    this.text = this.text.slice(0, at) + text + this.text.slice(at);
    this.offset = at + text.length;
    this._changed([{ retain: at }, { insert: text }]);
  }

  delete(from: number, to: number): void {
    this.text = this.text.slice(0, from) + this.text.slice(to);
    this.offset = from;
    this._changed([{ retain: from }, { delete: to - from }]);
  }

  /** Replace all of the text, as a program does that formats it. */
  rewrite(text: string): void {
    const steps = [{ delete: this.text.length }, { insert: text }];
    this.text = text;
    this._changed(steps);
  }

  /** Take it with a key that JupyterLab handles, or with the mouse: no key reaches the editor. */
  accept(request: SuggestionRequest, text: string): void {
    const inserted = this.outcomes.accepted(request, text);
    this.insert(text);
    inserted();
  }

  /** Type elsewhere in the document for so many milliseconds; another person presses no keys here. */
  typeFor(milliseconds: number, { step = 500, another = false } = {}): void {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.now += step;
      if (!another) {
        this.host.dispatchEvent(new Event('keydown'));
      }
      this.insert('k', this.text.length);
    }
  }

  /** What was sent, without names. */
  get sent(): unknown[][] {
    return this.feedback.mock.calls.map(([{ event, chars, seconds }]) => [event, chars, seconds]);
  }

  get events(): unknown[][] {
    return this.sent.map(([event, chars]) => [event, chars]);
  }

  offset: number;
  now = 1000;
  slots: Slot[] = [];
  readonly editor: CodeEditor.IEditor;
  readonly host = new EventTarget();
  readonly feedback = vi.fn<(feedback: IFeedback) => void>();
  readonly outcomes = new Outcomes({ feedback: this.feedback }, () => this.now);

  private _changed(sourceChange: IStep[]): void {
    [...this.slots].forEach(slot => slot(null, { sourceChange }));
  }
}

describe('the outcome of a suggestion', () => {
  it('contains the number of inserted characters and the time', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total');
    desk.now += 1300;
    desk.insert('to');
    desk.accept(request, 'tal');
    expect(desk.feedback.mock.calls).toEqual([
      [{ id: 'id', event: 'shown', chars: 5, length: 5, before: 0, seconds: 0 }],
      [{ id: 'id', event: 'accepted', chars: 5, length: 5, before: 2, seconds: 1.3 }]
    ]);
  });

  it.each([
    ['tot!', 3],
    ['x', 0],
    ['total', 5],
    ['total!', 5]
  ])('is typed over by %s', (typed, same) => {
    const desk = new Desk('x = ');
    const request = desk.show('total');
    desk.insert(typed);
    desk.outcomes.left(request, false);
    expect(desk.sent.at(-1)).toEqual(['typed_over', same, 0]);
  });

  it('counts characters like the server for any text', () => {
    const desk = new Desk('x = ');
    const text = '"😀😀é"';
    desk.accept(desk.show(text), text);
    desk.outcomes.settle();
    desk.outcomes.left(desk.show('😀a'), false);
    expect(desk.feedback.mock.calls.map(([{ chars, length }]) => [chars, length])).toEqual([
      [5, 5],
      [5, 5],
      [5, 5],
      [2, 2],
      [0, 2]
    ]);
  });

  it('is dismissed where nothing else is typed, or the cursor goes back', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total');
    desk.insert('to');
    desk.outcomes.left(request, false);
    expect(desk.sent.at(-1)).toEqual(['dismissed', 2, 0]);
    const more = desk.show('more');
    desk.offset = 1;
    desk.outcomes.left(more, false);
    expect(desk.sent.at(-1)).toEqual(['dismissed', 0, 0]);
    const deleted = desk.show('more');
    desk.delete(0, 1);
    desk.outcomes.left(deleted, false);
    expect(desk.events.map(([event]) => event)).toEqual([
      'shown',
      'dismissed',
      'shown',
      'dismissed',
      'shown',
      'dismissed'
    ]);
  });

  it('is not said where the text around it is another by now, or the editor is gone', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total');
    desk.insert('y = 1\n', 0);
    desk.offset = desk.text.length;
    desk.outcomes.left(request, false);
    desk.text += '\nz';
    const above = desk.show('more');
    desk.text += ' = 2';
    desk.outcomes.left(above, false);
    const other = desk.show('more');
    Object.assign(desk.editor, { isDisposed: true });
    desk.outcomes.left(other, false);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'shown', 'shown']);
  });

  it('is not sent while another suggestion may continue it, or if it was not shown', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total');
    desk.insert('to');
    desk.outcomes.left(request, true);
    desk.outcomes.left(new SuggestionRequest(desk.editor, request.suggestion, 'automatic', 'other'), false);
    expect(desk.events).toEqual([['shown', 5]]);
  });

  it('is sent under the name that the server gives it, once it has one', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total', '');
    expect(desk.sent).toEqual([]);
    request.id = 'late';
    desk.now += 2000;
    desk.accept(request, 'total');
    expect(desk.feedback.mock.calls.map(([{ id, event, seconds }]) => [id, event, seconds])).toEqual([
      ['late', 'shown', 2],
      ['late', 'accepted', 2]
    ]);
    desk.outcomes.left(desk.show('more', ''), false);
    expect(desk.sent).toHaveLength(2);
  });

  it('excludes an accepted alternative', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'other');
    expect(desk.sent.at(-1)).toEqual(['accepted', 0, 0]);
  });

  it('reports the retained part after half a minute of typing', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.delete(4, 6);
    desk.typeFor(TYPING - 500);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'accepted']);
    desk.typeFor(1000);
    expect(desk.sent.at(-1)).toEqual(['retained', 11, 30]);
    desk.typeFor(2 * TYPING);
    expect(desk.sent).toHaveLength(3);
  });

  it('reports the retained part again after five minutes, and then stops', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.typeFor(TYPING + 500);
    desk.delete(4, 9);
    desk.typeFor(LATER - TYPING - 1000);
    expect(desk.events.at(-1)).toEqual(['retained', 13]);
    desk.typeFor(1000);
    expect(desk.sent.at(-1)).toEqual(['retained', 8, 300]);
    expect(desk.slots).toHaveLength(0);
    desk.typeFor(2 * LATER);
    expect(desk.sent).toHaveLength(4);
  });

  it('says that once where half a minute of typing took longer than five minutes', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.now += 2 * LATER;
    desk.typeFor(TYPING + 500);
    expect(desk.events).toEqual([
      ['shown', 5],
      ['accepted', 5],
      ['retained', 5]
    ]);
    expect(desk.slots).toHaveLength(0);
  });

  it('counts no typing of others', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.typeFor(2 * TYPING, { another: true });
    expect(desk.sent).toHaveLength(2);
  });

  it('takes a pause for no typing', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.now += 60 * 60 * 1000;
    desk.typeFor(500);
    desk.typeFor(TYPING - PAUSE - 500);
    expect(desk.sent).toHaveLength(2);
    desk.typeFor(1000);
    expect(desk.events.at(-1)).toEqual(['retained', 5]);
  });

  it('does not take the time in which it was read for typing after it', () => {
    const desk = new Desk('x = ');
    desk.typeFor(1000);
    const request = desk.show('total');
    desk.now += PAUSE;
    desk.accept(request, 'total');
    desk.typeFor(2 * TYPING);
    expect(desk.sent.at(-1)).toEqual(['retained', 5, 30]);
  });

  it('counts what was taken piece by piece, and typed before, as one', () => {
    const desk = new Desk('x = ');
    const request = desk.show('total(values)');
    desk.insert('to');
    desk.accept(request, 'tal(');
    desk.outcomes.shown(request);
    desk.accept(request, 'values)');
    desk.typeFor(TYPING + 500);
    expect(desk.events).toEqual([
      ['shown', 13],
      ['accepted', 6],
      ['accepted', 13],
      ['retained', 13]
    ]);
  });

  it('is found again where a program formats the text, and not judged where it is written otherwise', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total(values)'), 'total(values)');
    desk.rewrite('import a\n\nx = total(values)\n');
    desk.accept(desk.show("f('a')", 'other'), "f('a')");
    desk.rewrite('import a\n\nx = total(values)\n\n\nf(\n    "a",\n)');
    desk.typeFor(TYPING + 500);
    expect(desk.events.slice(4)).toEqual([['retained', 13]]);
  });

  it('follows nothing that did not come to stand before the cursor', () => {
    const desk = new Desk('x = ');
    desk.outcomes.accepted(desk.show('total'), 'total')();
    desk.typeFor(TYPING + 500);
    expect(desk.events.map(([event]) => event)).toEqual(['shown', 'accepted']);
  });

  it('reports the retained part of accepted texts when the page is closed', () => {
    const desk = new Desk('x = ');
    desk.accept(desk.show('total'), 'total');
    desk.accept(desk.show('(values)', 'other'), '(values)');
    desk.delete(8, 9);
    expect(desk.slots).toHaveLength(2);
    desk.outcomes.settle();
    expect(desk.slots).toHaveLength(0);
    expect(desk.events.slice(4)).toEqual([
      ['retained', 4],
      ['retained', 8]
    ]);
    desk.outcomes.settle();
    expect(desk.sent).toHaveLength(6);
  });
});
