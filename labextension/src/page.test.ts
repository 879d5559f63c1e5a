import type { JupyterFrontEnd } from '@jupyterlab/application';
import { expect, it, vi } from 'vitest';

const { DocumentWidget, NotebookPanel } = vi.hoisted(() => {
  class DocumentWidget {
    content: unknown;
  }
  return { DocumentWidget, NotebookPanel: class extends DocumentWidget {} };
});
vi.mock('@jupyterlab/docregistry', () => ({ DocumentWidget }));
vi.mock('@jupyterlab/fileeditor', () => ({ FileEditor: vi.fn() }));
vi.mock('@jupyterlab/notebook', () => ({ NotebookPanel }));

import { Page } from './page';

it('Page reads other notebooks unless suggestions are off in them', () => {
  const metadata = new Map<string, unknown>();
  const model = {
    cells: [{ type: 'code', sharedModel: { getSource: () => 'y = 1' } }],
    getMetadata: (key: string) => metadata.get(key)
  };
  const panel = Object.assign(new NotebookPanel(), {
    context: { isReady: true, path: 'other.ipynb' },
    content: { model, codeMimetype: 'text/x-python' }
  });
  const shell = { widgets: () => [panel] } as unknown as JupyterFrontEnd.IShell;
  const page = new Page(shell, {} as never, {} as never);
  const read = () => page.otherDocuments('a.ipynb', 'python').map(({ path }) => path);
  expect([read(), read()]).toEqual([['other.ipynb'], ['other.ipynb']]);
  for (const [enabled, paths] of [
    [false, []],
    [true, ['other.ipynb']]
  ]) {
    metadata.set('turbopilot', { enabled });
    expect(read()).toEqual(paths);
  }
});
