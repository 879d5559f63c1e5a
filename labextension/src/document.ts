/** Read the document around an editor: its cells, the active cell, its language. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { CompletionHandler, IInlineCompletionContext } from '@jupyterlab/completer';
import { ConsolePanel } from '@jupyterlab/console';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { Cell, ICellModel, ICodeCellModel } from '@jupyterlab/cells';
import { Text } from '@jupyterlab/coreutils';
import type { Widget } from '@lumino/widgets';
import { type NotebookSwitch, switchOf } from './decline';
import { cellLanguage, languageNamed, languageOf } from './language';
import type { IPosition } from './suggestion';
import { wellFormed } from './window';
import type { ICell } from './wire';

/** The MIME type of editors before their language is known. */
const PLAIN = 'text/plain';

/** The context of a provider call; the completer passes the editor, although its type lacks it. */
export type IContext = IInlineCompletionContext & {
  editor?: CodeEditor.IEditor | null;
};

export interface IDocument {
  path: string;
  notebookSwitch: NotebookSwitch;
  /** The language of the document. */
  language: string;
  /** The language at the cursor: a `%%magic` or a markdown cell has its own. */
  here: string;
  count: number;
  cellAt(index: number): ICell;
  active: number;
}

type Kind = ICell['type'];

function cell(id: string, type: Kind, source: string, executed: boolean | null): ICell {
  return { id, type, source, executed };
}

/** Return the last line of the error output of a cell's last execution, or null. */
function failureOf(model: ICellModel): string | null {
  const { outputs } = model as Partial<ICodeCellModel>;
  const last = outputs?.length ? outputs.get(outputs.length - 1).toJSON() : null;
  if (last?.output_type !== 'error' || typeof last.ename !== 'string' || typeof last.evalue !== 'string') {
    return null;
  }
  return wellFormed(`${last.ename}: ${last.evalue}`.split('\n')[0].slice(0, 200));
}

/** Return the language of a notebook's code cells; before the kernel has started, that of its kernel spec. */
export function languageOfNotebook({ content, sessionContext }: NotebookPanel): string {
  const mimeType = content.codeMimetype;
  if (mimeType && mimeType !== PLAIN) {
    return languageOf(mimeType);
  }
  const { defaultKernelName = '', defaultKernelLanguage = '' } = content.model ?? {};
  const name = sessionContext.session?.kernel?.name ?? defaultKernelName;
  const specified = sessionContext.specsManager.specs?.kernelspecs[name]?.language;
  return languageNamed((specified ?? defaultKernelLanguage) || 'python');
}

/** Return the text and the cursor of a completion request. */
export function positionIn(request: CompletionHandler.IRequest): IPosition {
  return { text: request.text, offset: Text.charIndexToJsIndex(request.offset, request.text) };
}

/** Read the document of a completion request. */
export function documentIn(request: CompletionHandler.IRequest, context: IContext): IDocument {
  return readDocument(context, request.text, request.mimeType ?? PLAIN);
}

/** Return whether an editor is an empty code cell of a notebook, with text in a cell above. */
export function isNewCell(widget: Widget | null, editor: CodeEditor.IEditor): boolean {
  if (!(widget instanceof NotebookPanel)) {
    return false;
  }
  const { widgets } = widget.content;
  const active = widgets.findIndex((candidate: Cell) => candidate.editor === editor);
  const isBlank = ({ model }: Cell): boolean => model.sharedModel.getSource().trim() === '';
  return (
    active >= 0 &&
    widgets[active].model.type === 'code' &&
    isBlank(widgets[active]) &&
    !widgets.slice(0, active).every(isBlank)
  );
}

/** Read the document around an editor whose text is `text`. */
export function readDocument(context: IContext, text: string, mimeType: string): IDocument {
  const { widget, editor } = context;
  const own = languageOf(mimeType);
  if (widget instanceof NotebookPanel && widget.content.model) {
    const { cells } = widget.content.model;
    const shown = widget.content.widgets;
    const edited = shown.findIndex((candidate: Cell) => candidate.editor === editor);
    const active = edited >= 0 ? edited : widget.content.activeCellIndex;
    const language = languageOfNotebook(widget);
    const type = cells.get(active).type;
    return {
      path: widget.context.path,
      notebookSwitch: switchOf(widget.content.model),
      language,
      here: type === 'code' ? cellLanguage(text, language) : type,
      count: cells.length,
      active,
      cellAt: index => {
        const model = cells.get(index);
        const source = index === active ? text : model.sharedModel.getSource();
        const count = (model as { executionCount?: number | null }).executionCount;
        const made = cell(
          model.id.slice(0, 256),
          model.type as Kind,
          source,
          model.type === 'code' ? count != null : null
        );
        return index === active ? { ...made, error: failureOf(model) } : made;
      }
    };
  }
  const isConsole = widget instanceof ConsolePanel;
  const history = isConsole
    ? Array.from(widget.console.cells)
        .filter(({ model }) => model.type === 'code')
        .map(({ model }) => model.sharedModel.getSource())
    : [];
  return {
    path: isConsole ? widget.sessionContext.path : ((widget as IDocumentWidget).context?.path ?? ''),
    notebookSwitch: 'enabled',
    language: own,
    here: isConsole ? cellLanguage(text, own) : own,
    count: history.length + 1,
    active: history.length,
    cellAt: index =>
      index === history.length
        ? cell('', 'code', text, isConsole ? false : null)
        : cell('', 'code', history[index], true)
  };
}
