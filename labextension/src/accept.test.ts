import { EditorView } from '@codemirror/view';
import type { InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import { expect, it } from 'vitest';
import { Acceptor, type ISuggestedItem } from './accept';
import { firstWord } from './suggestion';
import type { Completers } from './completers';
import type { IInsertion } from './imports';

const NP = 'import numpy as np';

/** A completer with ghost text after a cell's text, and a log of the calls. */
function shows(text: string, item: ISuggestedItem, provider = 'ours') {
  const changes: unknown[] = [];
  const accepted: [string, IInsertion | null][] = [];
  const completer = {
    current: { ...item, provider: { identifier: provider } },
    accept: () => changes.push('accepted'),
    model: { reset: () => changes.push('reset') },
    editor: {
      editor: { dispatch: (change: { changes: unknown }) => changes.push(change.changes) },
      getCursorPosition: () => text.length,
      getOffsetAt: (position: number) => position,
      model: { sharedModel: { getSource: () => text } }
    }
  } as unknown as InlineCompleter;
  const completers = { active: completer } as unknown as Completers;
  const created = new Signal<Completers, InlineCompleter>(completers);
  Object.assign(completers, { created });
  const acceptor = new Acceptor(completers, ['ours'], (taken, imports) => {
    accepted.push([taken, imports]);
    return () => changes.push('stands');
  });
  created.emit(completer);
  return { completer, acceptor, changes, accepted };
}

it('inserts the accepted text and its imports in one change', () => {
  const { completer, changes, accepted } = shows('x = ', { insertText: 'np.pi', imports: [NP] });
  completer.accept();
  const above = { at: 0, text: `${NP}\n` };
  expect(changes).toEqual([
    [
      { from: 0, insert: above.text },
      { from: 4, insert: 'np.pi' }
    ],
    'reset',
    'stands'
  ]);
  expect(accepted).toEqual([['np.pi', above]]);
});

it('types the bracket and the quote at the end as keys, which the editor may close', () => {
  const { completer, changes } = shows('x = ', { insertText: 'f("', opens: 2 });
  const keys: string[] = [];
  class View {
    state = {
      selection: { main: { from: 5, to: 5 } },
      update: (change: { changes: unknown }) => change,
      facet: (facet: unknown) => {
        expect(facet).toBe(EditorView.inputHandler);
        return [
          (_: View, from: number, to: number, key: string) => keys.push(`${from} ${to} ${key}`) && key === '('
        ];
      }
    };
    dispatch = ({ changes: change }: { changes: unknown }) => changes.push(change);
  }
  Object.assign(completer.editor ?? {}, { editor: new View() });
  completer.accept();
  expect(keys).toEqual(['5 5 (', '5 5 "']);
  expect(changes).toEqual([[{ from: 4, insert: 'f' }], { from: 5, to: 5, insert: '"' }, 'reset', 'stands']);
});

it('inserts the imports that an accepted part and the typed text before it use', () => {
  const item = { insertText: 'y = os.sep', imports: [NP, 'import os'] };
  const later = shows('x = np.pi\n', item);
  later.acceptor.acceptPart(firstWord);
  expect(later.accepted).toEqual([['y', null]]);
  const within = shows('x = np.pi\n', { ...item, from: 0 });
  within.acceptor.acceptPart(firstWord);
  expect(within.accepted).toEqual([['y', { at: 0, text: `${NP}\n` }]]);
});

it('inserts its own suggestions at the cursor, and leaves those of other providers to JupyterLab', () => {
  const plain = shows('x = ', { insertText: '1' });
  plain.completer.accept();
  expect(plain.changes).toEqual([[{ from: 4, insert: '1' }], 'reset', 'stands']);
  expect(plain.accepted).toEqual([['1', null]]);
  const others = shows('x = ', { insertText: 'np.pi', imports: [NP] }, 'another');
  others.completer.accept();
  expect([others.changes, others.accepted]).toEqual([['accepted'], []]);
});
