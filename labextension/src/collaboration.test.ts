import { YFile, YNotebook } from '@jupyter/ydoc';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import { Signal } from '@lumino/signaling';
import { describe, expect, it } from 'vitest';
import { applyUpdate, createRelativePositionFromTypeIndex, type Doc } from 'yjs';
import { followEdits, followOthers, hasOtherCursor, onEdit } from './collaboration';

interface ISharedText {
  source: string;
  updateSource(start: number, end: number, value?: string): void;
  undo(): void;
  redo(): void;
  changed: YFile['changed'];
}

function connect(from: Doc, to: Doc): void {
  from.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin !== 'network') {
      applyUpdate(to, update, 'network');
    }
  });
}

const KINDS = {
  file: () => {
    const files = [new YFile(), new YFile()];
    return { docs: files.map(({ ydoc }) => ydoc), texts: () => files as ISharedText[] };
  },
  cell: () => {
    const notebooks = [1, 2].map(() => new YNotebook({ disableDocumentWideUndoRedo: true }));
    return {
      docs: notebooks.map(({ ydoc }) => ydoc),
      texts: () => {
        notebooks[0].addCell({ cell_type: 'code' });
        return notebooks.map(notebook => notebook.getCell(0) as unknown as ISharedText);
      }
    };
  }
};

describe.each(Object.entries(KINDS))('a %s that two users edit', (_, make) => {
  /** The text in the pages of both users, and the events in the first page. */
  function share() {
    const { docs, texts } = make();
    connect(docs[0], docs[1]);
    connect(docs[1], docs[0]);
    const [mine, theirs] = texts();
    const log: string[] = [];
    const editor = { isDisposed: false, model: { sharedModel: mine } };
    mine.changed.connect((_, { sourceChange }) => sourceChange && log.push('changed'));
    followOthers(editor as unknown as CodeEditor.IEditor, text => log.push(text));
    return { mine, theirs, log, editor };
  }

  it('reports another user’s edits, before JupyterLab is notified of them', () => {
    const { theirs, log, editor } = share();
    theirs.updateSource(0, 0, 'ab');
    theirs.updateSource(0, 1);
    expect(log).toEqual(['ab', 'changed', 'b', 'changed']);
    editor.isDisposed = true;
    theirs.updateSource(0, 0, 'c');
    expect(log.at(-2)).toBe('changed');
  });

  it('does not report own edits, undo and redo', () => {
    const { mine, theirs, log } = share();
    mine.updateSource(0, 0, 'x');
    mine.undo();
    mine.redo();
    expect(theirs.source).toBe('x');
    expect(new Set(log)).toEqual(new Set(['changed']));
  });

  it('distinguishes edits by their origin', () => {
    const { mine, theirs } = share();
    const origins: string[] = [];
    const stop = followEdits(mine as never, origin => origins.push(origin));
    mine.updateSource(0, 0, 'x');
    theirs.updateSource(0, 0, 'y');
    mine.undo();
    mine.redo();
    expect(origins).toEqual(['user', 'other user', 'undo', 'undo']);
    stop();
    mine.updateSource(0, 0, 'z');
    expect(origins.length).toBe(4);
  });
});

describe('hasOtherCursor', () => {
  it('finds the cursors of other users in a cell', () => {
    const notebook = YNotebook.create();
    const [cell, other] = ['a', 'b'].map(source => notebook.addCell({ cell_type: 'code', source }));
    const found = () => [cell, other].map(each => hasOtherCursor(each as never));
    expect(found()).toEqual([false, false]);
    const cursor = { anchor: createRelativePositionFromTypeIndex(other.ysource, 1) };
    notebook.awareness.setLocalStateField('cursors', [cursor]);
    expect(found()).toEqual([false, false]);
    const sent = JSON.parse(JSON.stringify([{ anchor: null }, cursor])) as unknown;
    notebook.awareness.states.set(1, { cursors: sent });
    notebook.awareness.states.set(2, { cursors: { other: 1 } });
    expect(found()).toEqual([false, true]);
    notebook.awareness.setLocalStateField('user', { username: 'ada' });
    expect(found()).toEqual([false, true]);
    notebook.awareness.states.set(1, { user: { username: 'ada' }, cursors: sent });
    expect(found()).toEqual([false, false]); // in another window of the same user
    notebook.awareness.states.set(1, { user: { username: 'eve' }, cursors: sent });
    expect(found()).toEqual([false, true]);
    expect(hasOtherCursor(YNotebook.create().addCell({ cell_type: 'code' }) as never)).toBe(false);
  });
});

describe('onEdit', () => {
  it('reports edits of the text, and no other changes, until the signals of the owner are cleared', () => {
    const notebook = new YNotebook();
    const sharedModel = notebook.addCell({ cell_type: 'code', source: 'ab' });
    const [owner, steps] = [{}, [] as unknown[]];
    onEdit({ sharedModel }, found => steps.push(...found), owner);
    sharedModel.setMetadata('tags', ['a']);
    sharedModel.updateSource(1, 1, 'x');
    Signal.clearData(owner);
    sharedModel.updateSource(0, 0, 'y');
    expect(steps).toEqual([{ retain: 1 }, { insert: 'x' }]);
  });
});
