import { YFile } from '@jupyter/ydoc';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import { expect, it } from 'vitest';
import { applyUpdate } from 'yjs';
import { followOthers } from './collaboration';

/** The same file in the pages of two users, and the events in the first page. */
function share() {
  const [mine, theirs] = [new YFile(), new YFile()];
  const log: string[] = [];
  const editor = { model: { sharedModel: mine } } as unknown as CodeEditor.IEditor;
  mine.changed.connect(() => log.push('changed'));
  followOthers(editor, text => log.push(text));
  const send = (from: YFile, to: YFile) =>
    from.ydoc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'network') {
        applyUpdate(to.ydoc, update, 'network');
      }
    });
  send(mine, theirs);
  send(theirs, mine);
  return { mine, theirs, log };
}

it('another user’s edit is reported with the text, before JupyterLab is notified of it', () => {
  const { theirs, log } = share();
  theirs.updateSource(0, 0, 'ab');
  theirs.updateSource(0, 1);
  expect(log).toEqual(['ab', 'changed', 'b', 'changed']);
});

it('one’s own edits, undo and redo are not reported', () => {
  const { mine, theirs, log } = share();
  mine.updateSource(0, 0, 'x');
  mine.undo();
  mine.redo();
  expect(theirs.source).toBe('x');
  expect(log).toEqual(['changed', 'changed', 'changed']);
});
