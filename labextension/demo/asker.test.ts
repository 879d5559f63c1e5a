import { EditorState, type TransactionSpec } from '@codemirror/state';
import { EditorView, type ViewUpdate } from '@codemirror/view';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { IFrame, IRequest } from '../src/wire';
import { Asker } from './asker';
import { ghostOf, ghostText } from './ghost';

const LINE = 'print(1)';

/** An editor without a DOM. */
class View {
  readonly composing = false;
  state: EditorState;

  constructor(asker: Asker) {
    this.state = EditorState.create({ extensions: [ghostText(() => undefined), asker.extension] });
  }

  dispatch(spec: TransactionSpec): void {
    const transaction = this.state.update(spec);
    this.state = transaction.state;
    const { docChanged } = transaction;
    const selectionSet = transaction.selection !== undefined;
    const update = { view: this, docChanged, selectionSet, transactions: [transaction] };
    for (const listener of this.state.facet(EditorView.updateListener)) {
      listener(update as unknown as ViewUpdate);
    }
  }

  type(text: string): void {
    const at = this.state.doc.length;
    this.dispatch({
      changes: { from: at, insert: text },
      selection: { anchor: at + text.length },
      userEvent: 'input.type'
    });
  }

  deleteBack(): void {
    const at = this.state.doc.length;
    this.dispatch({
      changes: { from: at - 1, to: at },
      selection: { anchor: at - 1 },
      userEvent: 'delete.backward'
    });
  }

  get ghost(): string {
    return ghostOf(this as unknown as EditorView);
  }
}

describe('a suggestion on the page', () => {
  const received: string[] = [];
  const took: number[] = [];
  const complete = vi.fn();
  let view: View;
  let asker: Asker;

  beforeEach(() => {
    received.length = took.length = 0;
    complete.mockReset().mockImplementation((request: IRequest, _: unknown, frame: (one: IFrame) => void) => {
      const { source } = request.cells[request.active];
      frame({ text: LINE.startsWith(source) ? LINE.slice(source.length) : '' } as IFrame);
      return Promise.resolve();
    });
    asker = new Asker({ complete }, () => ({ language: 'python', path: 'a.py', eagerness: 'always' }), {
      ready: () => undefined,
      answered: (text, ms) => {
        received.push(`answered ${text}`);
        took.push(ms);
      },
      recalled: text => received.push(`recalled ${text}`),
      failed: reason => received.push(String(reason))
    });
    view = new View(asker);
  });

  it('is reported when it arrives, and again if the user deletes back to it', async () => {
    view.type('pri');
    await vi.waitFor(() => expect(received).toEqual(['answered nt(1)']));
    view.type('x');
    await vi.waitFor(() => expect(received).toEqual(['answered nt(1)', 'answered ']));
    view.deleteBack();
    expect(view.ghost).toBe('nt(1)');
    expect(received.at(-1)).toBe('recalled nt(1)');
    expect(complete).toHaveBeenCalledTimes(2);
  });

  it('stays shown during an explicit request, which may only extend it', async () => {
    view.type('pri');
    await vi.waitFor(() => expect(received).toEqual(['answered nt(1)']));
    const invoke = async (text: string) => {
      const asked = complete.mock.calls.length;
      complete.mockImplementationOnce((_: unknown, __: unknown, frame: (one: IFrame) => void) => {
        frame({ text } as IFrame);
        return Promise.resolve();
      });
      asker.invoke(view as unknown as EditorView);
      expect(complete).toHaveBeenCalledTimes(asked + 1);
      await vi.waitFor(() => expect(received).toHaveLength(asked + 1));
      return view.ghost;
    };
    expect(await invoke('nt(1)  # one')).toBe('nt(1)  # one');
    expect(await invoke('nt(1)')).toBe('nt(1)  # one');
    expect(await invoke('vate = 0')).toBe('nt(1)  # one');
    expect(await invoke('vate = 0')).toBe('vate = 0'); // another request shows it
  });

  it('is reported once, when it is complete, without the text typed meanwhile', async () => {
    let end: () => void = () => undefined;
    complete.mockImplementation((_: unknown, __: unknown, frame: (one: IFrame) => void) => {
      frame({ text: 'nt(' } as IFrame);
      return new Promise<void>(resolve => {
        end = () => {
          frame({ text: 'nt(1)' } as IFrame);
          resolve();
        };
      });
    });
    view.type('pri');
    view.type('n');
    expect([view.ghost, received]).toEqual(['t(', []]);
    end();
    await vi.waitFor(() => expect(received).toEqual(['answered t(1)']));
    asker.dismiss(view as unknown as EditorView);
    expect([view.ghost, received]).toEqual(['', ['answered t(1)']]);
  });

  it('is reported with the generation time, which excludes the load of the model', async () => {
    complete.mockImplementation(async (_: unknown, __: unknown, frame: (one: IFrame) => void) => {
      await new Promise(resolve => setTimeout(resolve, 50));
      frame({ text: 'nt(1)', done: true, timings: { total_ms: 7 } } as IFrame);
    });
    view.type('pri');
    await vi.waitFor(() => expect(received).toHaveLength(1));
    expect(took).toEqual([7]);
  });

  it('that was dismissed stays away from who types along it, and comes back where it is asked for', async () => {
    const editor = view as unknown as EditorView;
    view.type('pri');
    await vi.waitFor(() => expect(received).toEqual(['answered nt(1)']));
    asker.dismiss(editor);
    view.type('n');
    view.type('t');
    expect([view.ghost, received.filter(one => one.includes('('))]).toEqual(['', ['answered nt(1)']]);
    asker.invoke(editor);
    await vi.waitFor(() => expect(view.ghost).toBe('(1)'));
    asker.dismiss(editor);
    view.type('x');
    complete.mockImplementation((_: unknown, __: unknown, frame: (one: IFrame) => void) => {
      frame({ text: '=' } as IFrame);
      return Promise.resolve();
    });
    view.type(' ');
    await vi.waitFor(() => expect(view.ghost).toBe('='));
  });
});
