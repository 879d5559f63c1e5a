/** An offer below the input of a cell: a question, the lines that would change, and buttons. */

import type { CodeCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { type PanelLayout, Widget } from '@lumino/widgets';
import { button, element, withCode } from '../elements';
import { describeCell } from './notebook';
import { firstLine, type IHunk, type ISegment } from './replacements';

/** Milliseconds for which an offer shows why it cannot be applied. */
const FAILURE_SHOWN = 4000;
/** Milliseconds for which an offer reports what was done. */
const REPORT_SHOWN = 10_000;
/** Characters of an unchanged part of a line. */
const CONTEXT = 60;
/** Characters of the first line of a cell, and of its source in the tooltip. */
const LINE = 100;
const SOURCE = 2000;
/** The class of the cells that an offer would run. */
const RUN_CLASS = 'jp-mod-turbopilot-toRun';

export interface IAction {
  label: string;
  caption: string;
  run: () => void;
}

/** The changed lines of a cell, or the source of a new one. */
export interface IChangedCell {
  label: string;
  hunks: IHunk[];
}

export interface IContent {
  /** the class of the exception */
  error?: string;
  question: string;
  changes?: IChangedCell[];
  /** the cells that would be run, without the cell of the offer and those in `changes` */
  runs?: CodeCell[];
  /** whether the changes are hidden at first */
  collapsed?: boolean;
  /** the buttons before *Dismiss* */
  actions: IAction[];
  /** the shortcuts of the first actions (apply, apply to all), empty without a keystroke; a single action has both */
  shortcuts: readonly string[];
}

export class Offer extends Widget {
  constructor(
    readonly panel: NotebookPanel,
    readonly cell: CodeCell,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-Turbopilot-offer');
    this.node.setAttribute('role', 'group');
    // A click keeps the focus and the mode of the notebook, so that the user can continue to type.
    this.node.addEventListener('mousedown', event => {
      const isButton = event.target instanceof Element && event.target.closest('button, summary');
      if (isButton && panel.node.contains(document.activeElement)) {
        event.preventDefault();
        event.stopPropagation();
      }
    });
    cell.disposed.connect(() => this.dispose(), this);
    void cell.ready.then(() => {
      if (!this.isDisposed && !cell.isDisposed) {
        const layout = cell.layout as PanelLayout;
        const outputs = layout.widgets.findIndex(widget => widget.hasClass('jp-Cell-outputWrapper'));
        layout.insertWidget(outputs < 0 ? layout.widgets.length : outputs, this);
      }
    });
  }

  /** Its text for screen readers. */
  label = '';

  /** Whether it reports what was done. */
  isReport = false;

  /** The action of the shortcut, or null. */
  primary: (() => void) | null = null;

  /** The action of the shortcut for all occurrences, or null. */
  all: (() => void) | null = null;

  /** Emitted when the content has changed. */
  readonly changed = new Signal<this, void>(this);

  /** Call when the user dismisses the offer. */
  dismiss: () => void = () => this.dispose();

  display(content: IContent): void {
    const { actions, runs = [], shortcuts } = content;
    [this.primary, this.all] = [0, 1].map(index =>
      index < shortcuts.length ? (actions[index] ?? actions[0]).run : null
    );
    const title = element('div', 'jp-Turbopilot-offer-title');
    if (content.error) {
      title.append(element('code', '', content.error), ': ');
    }
    title.append(...withCode(content.question));
    this.label = [title.textContent, ...runs.map(cell => firstLine(sourceOf(cell), LINE))].join(' ');
    this.node.setAttribute('aria-label', this.label);
    const buttons = element('div', 'jp-Turbopilot-offer-buttons');
    const dismiss: IAction = {
      label: this._trans.__('Dismiss'),
      caption: this._trans.__('Remove this offer'),
      run: () => this.dismiss()
    };
    [...actions, dismiss].forEach(({ label, caption, run }, index) => {
      const made = button(label, 'button');
      made.title = caption;
      made.addEventListener('click', run);
      if (index < actions.length && shortcuts[index]) {
        made.dataset.shortcut = shortcuts[index]; // shown by the style sheet
        made.setAttribute('aria-label', label);
      }
      buttons.append(made);
    });
    const line = element('div', 'jp-Turbopilot-offer-line');
    line.append(title, buttons);
    this._replace(line, ...runs.map(cell => this._run(cell)), ...this._changes(content));
    this._runs = runs;
    runs.forEach(cell => cell.addClass(RUN_CLASS));
  }

  /** Show briefly why the offer cannot be applied, then remove it. */
  showFailure(reason: string): void {
    this.primary = this.all = null;
    this._replace(element('div', 'jp-Turbopilot-offer-title', reason));
    setTimeout(() => this.dispose(), FAILURE_SHOWN);
  }

  /** Scroll to the offer, unless it is visible. */
  async reveal(): Promise<void> {
    const { content } = this.panel;
    await content.scrollToItem(content.widgets.indexOf(this.cell), 'smart').catch(() => undefined);
    this.node.scrollIntoView({ block: 'nearest' });
  }

  /** Scroll to the offer if it is below the window, as long as the cursor stays in view: the user may be typing. */
  revealBelow(): void {
    requestAnimationFrame(() => {
      const { activeCell, node } = this.panel.content;
      const editor = activeCell?.editor;
      const cursor = editor?.getCoordinateForPosition(editor.getCursorPosition());
      const { top, bottom } = node.getBoundingClientRect();
      const hidden = this.node.getBoundingClientRect().bottom - bottom;
      if (cursor && hidden > 0 && cursor.bottom <= bottom && cursor.top - hidden >= top) {
        this.node.scrollIntoView({ block: 'nearest' });
      }
    });
  }

  /** Remove a report after some time, unless the user has gone to its buttons. */
  disposeLater(): void {
    setTimeout(() => {
      if (!this.node.contains(document.activeElement)) {
        this.dispose();
      }
    }, REPORT_SHOWN);
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._replace();
    super.dispose();
  }

  /** Replace the content. The focus stays on the button at the same position from the end, or returns to the cell. */
  private _replace(...content: HTMLElement[]): void {
    const hadFocus = this.node.contains(document.activeElement);
    const buttons = () =>
      Array.from(this.node.querySelectorAll<HTMLElement>('.jp-Turbopilot-offer-buttons button')).reverse();
    const position = buttons().findIndex(each => each === document.activeElement);
    this.node.replaceChildren(...content);
    this._runs.forEach(cell => cell.removeClass(RUN_CLASS));
    this._runs = [];
    const { content: notebook } = this.panel;
    const next = buttons().at(position);
    if (hadFocus && next) {
      next.focus();
    } else if (hadFocus && !notebook.isDisposed) {
      notebook.activate();
    }
    this.changed.emit();
  }

  private _runs: CodeCell[] = [];

  /** Show the first line of a cell that would be run, with a button that scrolls to it. */
  private _run(cell: CodeCell): HTMLElement {
    const source = sourceOf(cell);
    const shown = button(describeCell(this._trans, this.panel, cell.model), 'button');
    shown.title = this._trans.__('Scroll to this cell');
    shown.addEventListener('click', () => scrollTo(this.panel, cell));
    const code = element('code', '', firstLine(source, LINE));
    code.title = source.slice(0, SOURCE);
    const line = element('div', 'jp-Turbopilot-offer-run');
    line.append(shown, code);
    return line;
  }

  private _changes({ changes = [], collapsed }: IContent): HTMLElement[] {
    if (changes.length === 0) {
      return [];
    }
    const list = element('div', 'jp-Turbopilot-offer-changes');
    for (const { label, hunks } of changes) {
      if (label) {
        list.append(element('div', 'jp-Turbopilot-offer-cell', label));
      }
      for (const { before, after } of hunks) {
        list.append(...before.map(line => lineOf('del', line)), ...after.map(line => lineOf('ins', line)));
      }
    }
    if (!collapsed) {
      return [list];
    }
    const details = element('details');
    details.append(element('summary', '', this._trans.__('Preview')), list);
    return [details];
  }
}

/** Scroll to a cell, unless it is visible, or the given position in it. */
export function scrollTo(panel: NotebookPanel, cell: CodeCell, offset: number | null = null): void {
  const { content } = panel;
  if (offset !== null && isInView(panel, cell, offset)) {
    return;
  }
  void content.scrollToItem(content.widgets.indexOf(cell), 'smart').catch(() => undefined);
}

/** Return whether a position in a cell is in the visible part of its notebook. */
export function isInView({ content }: NotebookPanel, { editor }: CodeCell, offset: number): boolean {
  const position = editor?.getPositionAt(offset);
  const place = position && editor?.getCoordinateForPosition(position);
  const { top, bottom } = content.node.getBoundingClientRect();
  return !!place && place.top >= top && place.bottom <= bottom;
}

function sourceOf({ model }: CodeCell): string {
  return model.sharedModel.getSource();
}

/** Show a removed or an added line; the elements of its changed parts have the roles `deletion` and `insertion`. */
function lineOf(kind: 'del' | 'ins', segments: readonly ISegment[]): HTMLElement {
  const line = element('code', `jp-Turbopilot-offer-${kind}`);
  segments.forEach(({ text, changed }, index) => {
    const isLong = !changed && text.length > CONTEXT;
    const shown = !isLong ? text : index === 0 ? `…${text.slice(-CONTEXT)}` : `${text.slice(0, CONTEXT)}…`;
    line.append(changed ? element(kind, '', shown) : shown);
  });
  return line;
}
