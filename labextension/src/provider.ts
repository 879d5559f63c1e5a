/** The inline completion provider: carries out what the cell's generation needs next, and follows the editors. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import {
  type CompletionHandler,
  type IInlineCompletionItem,
  type IInlineCompletionList,
  type IInlineCompletionProvider,
  InlineCompletionTriggerKind
} from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { ISuggestedItem } from './accept';
import { type Availability, type IChange, MAX_RETRY_DELAY, servesAnother } from './availability';
import type { IClient } from './client';
import { followOthers } from './collaboration';
import { type Decline, declineOf, type Explained, type IDenial, isExplained, isUnlabelled } from './decline';
import { documentIn, type IContext, isNewCell, positionIn, readDocument } from './document';
import { afterComposing, follow, isAt, isOnBlankLine, positionOf, whenUnchanged } from './editor';
import { Generation, type IOwner } from './generation';
import type { IInsertion } from './imports';
import { Outcomes } from './outcomes';
import type { Page } from './page';
import { kernelOf, RequestBuilder } from './request';
import { isDenial } from './requesterror';
import { DEFAULTS, type ISettings } from './settings';
import { Activity } from './status';
import type { Suggestion, Trigger } from './suggestion';
import type { IRequest } from './wire';

type CellGeneration = Generation<CodeEditor.IEditor>;

export const NOTHING: IInlineCompletionList = { items: [] };
/** After this number of consecutive failures, only the next keystroke sends a request again. */
const RETRIES = 5;
/** Milliseconds of focus before a prefill or a suggestion, because the user may only be moving past the cell. */
const SETTLE = 120;
/** Only the cells that were edited last keep their cached suggestions. */
const MOST_CELLS = 4;

export class Provider implements IInlineCompletionProvider {
  readonly name = 'Turbopilot';
  readonly identifier = 'jupyter-turbopilot';
  readonly schema = {
    type: 'object' as const,
    properties: {},
    default: { enabled: true, autoFillInMiddle: true, debouncerDelay: 0, timeout: 30000 }
  };

  constructor(
    private readonly _client: IClient,
    private readonly _availability: Availability,
    private readonly _page: Page
  ) {
    this.outcomes = new Outcomes(_client);
    this.activity = new Activity(_availability);
    this._requests = new RequestBuilder((path, language) => _page.otherDocuments(path, language));
    _availability.changed.connect((_, change) => this._healthChanged(change));
  }

  settings: ISettings = DEFAULTS;

  readonly outcomes: Outcomes;

  /** Paths of documents in which suggestions are paused. */
  readonly paused = new Set<string>();

  readonly denied = new Map<string, IDenial>();

  /** Emitted when the server has refused a request because the administrator does not allow it. */
  readonly refused = new Signal<this, void>(this);

  /** Whether the user has stopped all suggestions. */
  stopped = false;

  /** The activity of the server for this page. */
  readonly activity: Activity;

  /** Each suggestion that is shown, once its text is complete. */
  readonly completed = new Signal<this, Pick<Suggestion, 'text' | 'imports'>>(this);

  /** The reason why the user's command shows nothing. */
  readonly declined = new Signal<this, Explained>(this);

  /** Whether the suggestion of the last call was requested by the user's command. */
  get invoked(): boolean {
    return this._generation?.trigger === 'invoke';
  }

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    const { editor } = context;
    const isInvoked = context.triggerKind === InlineCompletionTriggerKind.Invoke;
    const trigger = this._triggered ?? (isInvoked ? 'invoke' : 'automatic');
    const isExplicit = trigger === 'invoke';
    // A text may change in an editor without the focus, too: another view, or another user's edit.
    if (!editor || (!isExplicit && !editor.hasFocus())) {
      return NOTHING;
    }
    const position = positionIn(request);
    if (isExplicit) {
      this._page.closeMenu();
    }
    let document = documentIn(request, context);
    // Whether a request is sent although the server has denied one for the document.
    let ignoresDenial = isExplicit || this._mayBeAllowed(document.path, context);
    const generation = this._enter(editor);
    const answer = await generation.answer({
      position,
      trigger,
      obstacle: () => {
        document = documentIn(request, context); // it may have changed meanwhile
        const { settings, stopped, paused } = this;
        const denied = ignoresDenial ? new Map<string, IDenial>() : this.denied;
        return declineOf(editor, document, settings, { stopped, paused, denied }, trigger);
      },
      hasFocus: () => editor.hasFocus(),
      mayShow: () => {
        if (isExplicit) {
          this._page.closeMenu(); // the user may have opened it while the request was waiting
        }
        return isExplicit || !this._page.completers.isSuppressed(editor);
      },
      body: () => {
        ignoresDenial = false;
        this.denied.delete(document.path);
        return this._requests.build(document, context, position, this.settings, trigger);
      },
      schedule: send => setTimeout(send, isExplicit ? 0 : this.settings.delay),
      declined: reason => this._report(editor, trigger, reason)
    });
    if (!answer) {
      return NOTHING;
    }
    const { suggestion, text: insertText } = answer;
    if (!suggestion.shown) {
      this.outcomes.shown(suggestion);
    }
    void this._announce(generation, suggestion);
    const { done, token, imports, from } = suggestion;
    const opens = suggestion.opensIn(insertText);
    this._item = { insertText, isIncomplete: !done, token, imports, opens, from };
    return { items: [this._item] };
  }

  async *stream(token: string): AsyncGenerator<{ response: IInlineCompletionItem }> {
    const generation = this._generation;
    const suggestion = generation?.current;
    if (!generation || suggestion?.token !== token) {
      return;
    }
    for await (const text of generation.texts(suggestion, this._item?.insertText)) {
      if (this._item) {
        // The completer would filter the longer text by what it noted for the shorter one.
        this._item.filterText = undefined;
        this._item.imports = suggestion.imports;
        this._item.opens = suggestion.opensIn(text);
      }
      yield { response: { insertText: text } };
    }
  }

  /** Wait until the current suggestion is complete, and return it. */
  async settled(): Promise<Suggestion | null> {
    const suggestion = this._generation?.current ?? null;
    await suggestion?.finished();
    return suggestion;
  }

  /** Return whether there is a reason to show no alternatives. */
  declinesAlternatives(request: CompletionHandler.IRequest, context: IContext): boolean {
    const document = documentIn(request, context);
    return !context.editor || declineOf(context.editor, document, this.settings, this, 'invoke') !== null;
  }

  alternativesBody(request: CompletionHandler.IRequest, context: IContext): IRequest {
    const document = documentIn(request, context);
    const body = this._requests.build(document, context, positionIn(request), this.settings, 'invoke');
    return this._requests.forAlternatives(body, this.settings.alternatives);
  }

  /** Have the server evaluate the prompt around the cursor of an editor that got the focus. */
  warmUp(editor = this._page.editor): void {
    const { widget } = this._page;
    if (!editor || !widget) {
      return; // while the application starts, an editor has the focus before its document is the current one
    }
    clearTimeout(this._warmUp);
    this._warmUp = setTimeout(() => {
      const isThere = !editor.isDisposed && !widget.isDisposed && editor.hasFocus();
      if (!isThere || !this._availability.open || this._generations.get(editor)?.current) {
        return;
      }
      const position = positionOf(editor);
      const context = { widget, editor, triggerKind: InlineCompletionTriggerKind.Automatic };
      const document = readDocument(context, position.text, editor.model.mimeType);
      if (!declineOf(editor, document, this.settings, this, 'invoke')) {
        const body = this._requests.build(document, context, position, this.settings, 'automatic');
        this._prefetch({ ...body, trigger: 'warmup', stream: false });
      }
    }, SETTLE);
  }

  cancel(): void {
    this._generation?.cancel();
  }

  /** Cancel all requests and send no more until `resume`. */
  stop(): void {
    this.stopped = true;
    this.cancelAll();
  }

  /** Cancel all requests, prefetching included, and report on no more texts. */
  cancelAll(): void {
    this.outcomes.drop(this._generation?.current ?? null);
    clearTimeout(this._warmUp);
    this._prefetching.abort();
    this._prefetching = new AbortController();
    this._generation?.leave();
  }

  /** Send requests again. */
  resume(): void {
    this.stopped = false;
    this.warmUp();
  }

  /** The user dismisses the text that the page shows: the next keystroke does not show it again. */
  dismiss(text: string): void {
    this._generation?.dismiss(text);
  }

  /**
   * The user accepts this part of the shown text, and import lines are inserted with it. Call the returned function
   * once the text is before the cursor.
   */
  accepted(text: string, imports: IInsertion | null): () => void {
    const { editor, current } = this._generation ?? {};
    if (!editor || !current) {
      return () => undefined;
    }
    const inserted = this.outcomes.accepted(current, editor, text);
    if (current.done) {
      this._announced = null; // its rest is the next suggestion
    }
    if (imports) {
      current.moveAfter(imports);
    }
    return inserted;
  }

  /** Another document has the focus. */
  documentChanged(): void {
    this._requests.documentChanged();
    this.warmUp();
  }

  /** Clear the cached suggestions, which may be outdated after an execution. */
  forget(): void {
    this._recent.forEach(generation => generation.forget());
  }

  /** Follow an editor: a moved cursor cancels a request; a new line, and the focus in a new cell, trigger one. */
  watch(editor: CodeEditor.IEditor): CellGeneration {
    const known = this._generations.get(editor);
    if (known) {
      return known;
    }
    const generation: CellGeneration = new Generation(editor, this._owner);
    this._generations.set(editor, generation);
    this.outcomes.watch(editor);
    followOthers(editor, text => {
      if (generation.edited(text)) {
        this._page.completers.dismiss();
      }
    });
    const moved = (): void => {
      if (generation.rest === null) {
        generation.cancel();
      }
    };
    // JupyterLab calls no provider on a blank line.
    const newLine = () => this._suggestLater(editor, this.settings.delay, () => isOnBlankLine(editor));
    follow(editor, moved, newLine);
    const focused = () =>
      this._suggestLater(
        editor,
        SETTLE,
        () => this.settings.newCells && isNewCell(this._page.widget, editor)
      );
    focused(); // the editor of a new cell may already have the focus
    editor.host.addEventListener('focusin', focused);
    return generation;
  }

  /** Make a cell the one that the user edits, and return its generation. */
  private _enter(editor: CodeEditor.IEditor): CellGeneration {
    const generation = this.watch(editor);
    if (generation !== this._generation) {
      this._generation?.leave();
      const others = this._recent.filter(other => other !== generation && !other.editor.isDisposed);
      this._recent = [generation, ...others];
      this._recent.splice(MOST_CELLS).forEach(other => other.forget());
    }
    return generation;
  }

  /** The generation of the cell that the user edits. */
  private get _generation(): CellGeneration | undefined {
    return this._recent.at(0);
  }

  /** Request an automatic suggestion if an editor stays unchanged and a condition applies then. */
  private _suggestLater(editor: CodeEditor.IEditor, delay: number, isWanted: () => boolean): void {
    whenUnchanged(editor, delay, () => {
      if (this.settings.mode === 'automatic' && isWanted()) {
        this._trigger('automatic');
      }
    });
  }

  /** Return whether the reason for a denial may have changed: the configuration or the kernel. */
  private _mayBeAllowed(path: string, context: IContext): boolean {
    const denial = this.denied.get(path);
    const isOtherKernel = Boolean(denial?.kernel && denial.kernel !== kernelOf(context));
    return isOtherKernel || (denial !== undefined && performance.now() >= denial.at + MAX_RETRY_DELAY);
  }

  private _report(editor: CodeEditor.IEditor, trigger: Trigger, reason: Decline): void {
    if (reason === 'foreign edit') {
      this._page.completers.dismiss();
    } else if (reason === 'composing') {
      afterComposing(editor, () => whenUnchanged(editor, 0, () => this._trigger('automatic')));
    }
    if (trigger === 'invoke' && isExplained(reason)) {
      this.declined.emit(reason);
    } else if (isUnlabelled(reason)) {
      this.activity.report({ hiddenReason: reason });
    }
  }

  /** Emit the complete text of a suggestion, once, unless another replaces it before. */
  private async _announce(generation: CellGeneration, suggestion: Suggestion): Promise<void> {
    if (this._announced === suggestion) {
      return;
    }
    this._announced = suggestion;
    await suggestion.finished();
    const { rest: text, current, editor } = generation;
    if (text && current === suggestion && editor.hasFocus()) {
      this.completed.emit({ text, imports: suggestion.imports });
    }
  }

  /** Send a request whose answer no user waits for. */
  private _prefetch(body: IRequest): void {
    this._client
      .alternatives(body, this._prefetching.signal)
      .catch((reason: unknown) => isDenial(reason) && this._deny(body, reason.message));
  }

  private _deny({ path, kernel_id }: IRequest, message: string): void {
    this.denied.set(path, { kernel: kernel_id ?? null, message, at: performance.now() });
    this.refused.emit();
  }

  private _healthChanged(change: IChange): void {
    const { before, now } = change;
    const generation = this._generation;
    if (before.open && !now.open) {
      generation?.interrupt();
    }
    if (servesAnother(change)) {
      this.forget();
    }
    if (now.open && now.health && !(before.open && before.health)) {
      this.denied.clear(); // the server may have restarted with another configuration
    }
    if (before.open || !now.open) {
      return;
    }
    if (!before.health?.ready) {
      this.warmUp();
    }
    if (generation && now.failures <= RETRIES) {
      const { editor, pending } = generation;
      generation.pending = null;
      if (pending && isAt(editor, pending.position)) {
        whenUnchanged(editor, 0, () => this._trigger(pending.trigger));
      }
    }
  }

  /** Have JupyterLab call its providers, which it does before `invoke` returns. */
  private _trigger(trigger: Trigger): void {
    this._triggered = trigger;
    this._page.invoke();
    this._triggered = null;
  }

  private readonly _requests: RequestBuilder;
  private readonly _owner: IOwner<CodeEditor.IEditor> = {
    complete: (body, signal, frame) => this._client.complete(body, signal, frame),
    positionOf: editor => (editor.isDisposed ? null : positionOf(editor)),
    isOpen: () => this._availability.open,
    check: () => this._availability.check(),
    started: ({ table }) => {
      this._announced = null;
      this.activity.report({ hiddenReason: null, table });
    },
    open: change => this.activity.open(change),
    received: (frame, { isTimedOut }) => this.activity.received(frame, isTimedOut),
    answered: (body, suggestion, { editor }) => {
      this._availability.answered();
      if (suggestion?.text && !suggestion.isRead) {
        const closers = editor.getOption('autoClosingBrackets') === true ? suggestion.closers : '';
        this._prefetch(this._requests.afterAccepting(body, suggestion, closers));
      }
    },
    failed: (body, reason, isAborted) => {
      if (isDenial(reason)) {
        this._deny(body, reason.message);
      } else if (!isAborted) {
        this._availability.failed(reason);
      }
    },
    left: (suggestion, position, mayReturn) => this.outcomes.left(suggestion, position, mayReturn)
  };
  private readonly _generations = new WeakMap<CodeEditor.IEditor, CellGeneration>();
  /** the generations of the cells that were edited last, the newest first */
  private _recent: CellGeneration[] = [];
  /** the last item for the completer */
  private _item: ISuggestedItem | null = null;
  /** the suggestion that was emitted once its text was complete, or will be */
  private _announced: Suggestion | null = null;
  /** the trigger of the call that the provider causes itself */
  private _triggered: Trigger | null = null;
  private _prefetching = new AbortController();
  private _warmUp: ReturnType<typeof setTimeout> | undefined;
}
