/** The inline completion provider: runs the actions that `decide` returns, and follows the editors. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import {
  type CompletionHandler,
  type IInlineCompletionItem,
  type IInlineCompletionList,
  type IInlineCompletionProvider,
  InlineCompletionTriggerKind
} from '@jupyterlab/completer';
import { type ISignal, Signal } from '@lumino/signaling';
import { type Availability, type IChange, MAX_RETRY_DELAY, servesAnother } from './availability';
import type { IClient } from './client';
import { followOthers } from './collaboration';
import { type Action, decide, type Event, type IState, type Trigger } from './decision';
import { type Decline, declineOf, type Explained, isExplained, isUnlabelled } from './decline';
import { documentIn, type IContext, type IDocument, isNewCell, positionIn, readDocument } from './document';
import { afterComposing, follow, isAt, isOnBlankLine, positionOf, whenUnchanged } from './editor';
import type { IInsertion } from './imports';
import {
  type IActivity,
  type ICall,
  InFlight,
  type ISuggestedItem,
  type SuggestionRequest
} from './inflight';
import type { IDenial } from './offswitches';
import { Outcomes } from './outcomes';
import type { Page } from './page';
import { kernelOf, RequestBuilder } from './request';
import { isDenial } from './requesterror';
import { DEFAULTS, type ISettings } from './settings';
import { Suggestion } from './suggestion';
import type { IRequest } from './wire';

const NO_DENIALS: ReadonlyMap<string, IDenial> = new Map();
export const NOTHING: IInlineCompletionList = { items: [] };
/** After this number of consecutive failures, only the next keystroke sends a request again. */
const RETRIES = 5;
/** Milliseconds of focus before a prefill or a suggestion, because the user may only be moving past the cell. */
const SETTLE = 120;

/** A call of `fetch` in progress. */
interface IFetch {
  readonly call: ICall;
  readonly context: IContext;
  /** read again after each event, as it may have changed meanwhile */
  document: IDocument;
  /** whether another user's edit has caused the call */
  readonly isForeignEdit: boolean;
  /** whether a request is sent although the server has denied one for the document */
  ignoresDenial: boolean;
  /** the request whose text is awaited */
  awaited: SuggestionRequest | null;
}

export class Provider implements IInlineCompletionProvider {
  readonly name = 'Turbopilot';
  readonly identifier = 'jupyter-turbopilot';
  readonly schema = {
    type: 'object' as const,
    properties: {},
    default: {
      enabled: true,
      autoFillInMiddle: true,
      debouncerDelay: 0,
      timeout: 30000
    }
  };

  constructor(
    private readonly _client: IClient,
    private readonly _availability: Availability,
    private readonly _page: Page
  ) {
    this.outcomes = new Outcomes(_client);
    this._requests = new RequestBuilder((path, language) => _page.otherDocuments(path, language));
    this._inFlight = new InFlight({
      client: _client,
      availability: _availability,
      outcomes: this.outcomes,
      finished: ({ suggestion, editor }, body) => {
        const closers = editor.getOption('autoClosingBrackets') === true ? suggestion.closers : '';
        this._prefetch(this._requests.afterAccepting(body, suggestion, closers));
      },
      failed: ({ editor, trigger }) => (this._pending = { editor, position: positionOf(editor), trigger }),
      denied: (body, message) => this._deny(body, message)
    });
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

  /** Whether the suggestion of the last call was requested by the user's command. */
  invoked = false;

  get activity(): ISignal<InFlight, IActivity> {
    return this._inFlight.activity;
  }

  /** Each suggestion that is shown, once its text is complete. */
  readonly completed = new Signal<this, Pick<Suggestion, 'text' | 'imports'>>(this);

  /** The reason why the user's command shows nothing. */
  readonly declined = new Signal<this, Explained>(this);

  /**
   * Answer a call of JupyterLab: carry out the action that follows each event.
   *
   *     called → decide ┬→ check ────────────────────────→ checked ───┐
   *                ↑    ├→ request ──→ suggestion, or else ended ─────┤
   *                │    ├→ continue ─→ suggestion, or else continued ─┤
   *                │    └→ decline ──→ no suggestion                  │
   *                └──────────────────────────────────────────────────┘
   */
  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    const { editor } = context;
    if (!editor) {
      return NOTHING;
    }
    this.watch(editor);
    const isInvoked = context.triggerKind === InlineCompletionTriggerKind.Invoke;
    const trigger = this._triggered ?? (isInvoked ? 'invoke' : 'automatic');
    const call = { editor, position: positionIn(request), trigger };
    const isForeignEdit = this._noticeEdit(call);
    this.invoked = trigger === 'invoke';
    if (this.invoked) {
      this._page.closeMenu();
    }
    const document = documentIn(request, context);
    const fetch: IFetch = {
      call,
      context,
      document,
      isForeignEdit,
      ignoresDenial: trigger === 'invoke' || this._mayBeAllowed(document, context),
      awaited: this._inFlight.current
    };
    let event: Event = 'called';
    for (;;) {
      const next = await this._act(fetch, decide(this._stateOf(fetch), event));
      if (typeof next !== 'string') {
        return next;
      }
      event = next;
      fetch.document = documentIn(request, context);
    }
  }

  async *stream(token: string): AsyncGenerator<{ response: IInlineCompletionItem }> {
    const request = this._inFlight.current;
    if (request?.token !== token) {
      return;
    }
    for await (const rest of this._inFlight.rests(request, request.item?.insertText)) {
      if (request.item) {
        // The completer would filter the longer text by what it noted for the shorter one.
        request.item.filterText = undefined;
        request.item.imports = request.suggestion.imports;
        request.item.opens = request.suggestion.opensIn(rest);
      }
      yield { response: { insertText: rest } };
    }
  }

  /** Wait until the current suggestion is complete, and return it. */
  async settled(): Promise<Suggestion | null> {
    const suggestion = this._inFlight.current?.suggestion ?? null;
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
      if (!isThere || !this._availability.open || this._inFlight.current) {
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
    this._inFlight.cancel();
  }

  /** Cancel all requests and send no more until `resume`. */
  stop(): void {
    this.stopped = true;
    this.cancelAll();
  }

  /** Cancel all requests, prefetching included, and report on no more texts. */
  cancelAll(): void {
    this.outcomes.drop(this._inFlight.current);
    this._pending = null;
    clearTimeout(this._warmUp);
    this._prefetching.forEach(abort => abort.abort());
    this.cancel();
  }

  /** Send requests again. */
  resume(): void {
    this.stopped = false;
    this.warmUp();
  }

  /** The user dismisses the text that the page shows: the next keystroke does not show it again. */
  dismiss(text: string): void {
    const { current } = this._inFlight;
    if (current?.shown && text) {
      this._dismissed.set(current.editor, new Suggestion(positionOf(current.editor), text));
    }
    this.cancel();
  }

  /**
   * The user accepts this part of the shown text, and import lines are inserted with it. Call the returned function
   * once the text is before the cursor.
   */
  accepted(text: string, imports: IInsertion | null): () => void {
    const { current } = this._inFlight;
    if (!current) {
      return () => undefined;
    }
    const inserted = this.outcomes.accepted(current, text);
    if (current.suggestion.done) {
      current.announced = false; // its rest is the next suggestion
    }
    if (imports) {
      current.suggestion.moveAfter(imports);
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
    this._inFlight.cache.clear();
  }

  /** Follow an editor: a moved cursor cancels a request; a new line, and the focus in a new cell, trigger one. */
  watch(editor: CodeEditor.IEditor): void {
    if (this._watched.has(editor)) {
      return;
    }
    this._watched.add(editor);
    this.outcomes.watch(editor);
    followOthers(editor, text => {
      this._foreign.set(editor, text);
      if (this._inFlight.current?.editor === editor) {
        this.cancel();
        this._page.completers.dismiss();
      }
    });
    follow(
      editor,
      () => {
        const { current } = this._inFlight;
        if (current?.editor === editor && current.rest === null) {
          this.cancel();
        }
      },
      () => {
        if (this.settings.mode === 'automatic') {
          // JupyterLab calls no provider on a blank line.
          whenUnchanged(editor, this.settings.delay, () => {
            if (isOnBlankLine(editor)) {
              this._trigger('automatic');
            }
          });
        }
      }
    );
    // The editor of a new cell may already have the focus.
    this._suggestInNewCell(editor);
    editor.host.addEventListener('focusin', () => this._suggestInNewCell(editor));
  }

  /** Request a suggestion if an empty cell keeps the focus. */
  private _suggestInNewCell(editor: CodeEditor.IEditor): void {
    whenUnchanged(editor, SETTLE, () => {
      const { mode, newCells } = this.settings;
      if (newCells && mode === 'automatic' && isNewCell(this._page.widget, editor)) {
        this._trigger('automatic');
      }
    });
  }

  /** End a dismissal that is over; return whether another user's edit has caused the call. */
  private _noticeEdit({ editor, position, trigger }: ICall): boolean {
    if (trigger === 'invoke' || !this._dismissed.get(editor)?.restOnLine(position)) {
      this._dismissed.delete(editor);
    }
    return trigger === 'automatic' && this._foreign.get(editor) === position.text;
  }

  /** Return whether the reason for a denial may have changed: the configuration or the kernel. */
  private _mayBeAllowed({ path }: IDocument, context: IContext): boolean {
    const denial = this.denied.get(path);
    const isOtherKernel = Boolean(denial?.kernel && denial.kernel !== kernelOf(context));
    return isOtherKernel || (denial !== undefined && performance.now() >= denial.at + MAX_RETRY_DELAY);
  }

  private _stateOf({ call, document, isForeignEdit, ignoresDenial, awaited }: IFetch): IState {
    const { editor, position, trigger } = call;
    const { current } = this._inFlight;
    const { stopped, paused, denied } = this;
    const switches = { stopped, paused, denied: ignoresDenial ? NO_DENIALS : denied };
    return {
      trigger,
      current: current?.editor === editor ? current.stateAt(position) : null,
      obstacle: isForeignEdit
        ? 'foreign edit'
        : declineOf(editor, document, this.settings, switches, trigger),
      isOpen: this._availability.open,
      isTimedOut: awaited?.isTimedOut ?? false,
      isOutdated: current !== awaited || !isAt(editor, position) || !editor.hasFocus()
    };
  }

  /** Carry out an action; return the next event, or the list that ends the call. */
  private async _act(fetch: IFetch, action: Action): Promise<Event | IInlineCompletionList> {
    if (action.reason) {
      this._report(fetch.call, action.reason);
    }
    if (action.cancel) {
      this.cancel();
    }
    switch (action.kind) {
      case 'decline':
        return NOTHING;
      case 'check':
        fetch.awaited = this._inFlight.current;
        await this._availability.check();
        return 'checked';
      case 'request':
        this._request(fetch, action.keep);
        return this._firstText(fetch, 'ended');
      case 'continue':
        this.invoked = action.trigger === 'invoke';
        return this._firstText(fetch, 'continued');
    }
  }

  private _request(fetch: IFetch, keep: boolean): void {
    const { call, context, document } = fetch;
    const { trigger } = call;
    this.denied.delete(document.path);
    this._pending = null;
    const body = this._requests.build(document, context, call.position, this.settings, trigger);
    fetch.awaited = this._inFlight.start(call, body, keep, trigger === 'automatic' ? this.settings.delay : 0);
    fetch.ignoresDenial = false;
  }

  /** Wait for the first text of the awaited request; return `event` if there is none. */
  private async _firstText({ call, awaited }: IFetch, event: Event): Promise<Event | IInlineCompletionList> {
    const item = awaited && (await this._itemOf(awaited, call.trigger));
    if (item) {
      return { items: [item] };
    }
    // If a menu is open, the text is shown when the call after the next keystroke finds it closed.
    return call.trigger === 'automatic' && this._page.completers.isSuppressed(call.editor) ? NOTHING : event;
  }

  private _report(call: ICall, reason: Decline): void {
    const { editor, trigger } = call;
    if (reason === 'foreign edit') {
      this._page.completers.dismiss();
    } else if (reason === 'composing') {
      afterComposing(editor, () => whenUnchanged(editor, 0, () => this._trigger('automatic')));
    } else if (reason === 'unavailable') {
      this._pending = call;
    }
    if (trigger === 'invoke' && isExplained(reason)) {
      this.declined.emit(reason);
    } else if (isUnlabelled(reason)) {
      this._inFlight.decline(reason);
    }
  }

  /** Wait for the first text of a request that a call may show; return `null` if there is none. */
  private async _itemOf(request: SuggestionRequest, trigger: Trigger): Promise<ISuggestedItem | null> {
    const { editor, suggestion } = request;
    for await (const rest of this._inFlight.rests(request)) {
      if (!editor.hasFocus()) {
        break;
      }
      if (trigger === 'invoke') {
        this._page.closeMenu(); // the user may have opened it while the request was waiting
      } else if (this._page.completers.isSuppressed(editor)) {
        continue; // JupyterLab would not show it
      }
      if (!this._dismissed.get(editor)?.hides(rest, positionOf(editor))) {
        request.item = {
          insertText: rest,
          isIncomplete: !suggestion.done,
          token: request.token,
          imports: suggestion.imports,
          opens: suggestion.opensIn(rest),
          from: suggestion.from
        };
        if (!request.shown) {
          this.outcomes.shown(request);
        }
        void this._announce(request);
        return request.item;
      }
    }
    return null;
  }

  /** Emit the complete text of a suggestion, once, unless another replaces it before. */
  private async _announce(request: SuggestionRequest): Promise<void> {
    if (request.announced) {
      return;
    }
    request.announced = true;
    await request.suggestion.finished();
    const { rest } = request;
    if (rest && this._inFlight.current === request && request.editor.hasFocus()) {
      this.completed.emit({ text: rest, imports: request.suggestion.imports });
    }
  }

  /** Send a request whose answer no user waits for. */
  private _prefetch(body: IRequest): void {
    const abort = new AbortController();
    this._prefetching.add(abort);
    this._client
      .alternatives(body, abort.signal)
      .catch((reason: unknown) => isDenial(reason) && this._deny(body, reason.message))
      .finally(() => this._prefetching.delete(abort));
  }

  private _deny({ path, kernel_id }: IRequest, message: string): void {
    this.denied.set(path, { kernel: kernel_id ?? null, message, at: performance.now() });
    this.refused.emit();
  }

  private _healthChanged(change: IChange): void {
    const { before, now } = change;
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
    if (now.failures <= RETRIES) {
      const pending = this._pending;
      this._pending = null;
      if (pending && isAt(pending.editor, pending.position)) {
        whenUnchanged(pending.editor, 0, () => this._trigger(pending.trigger));
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
  private readonly _inFlight: InFlight;
  /** the text of an editor after the last edit by another user */
  private readonly _foreign = new WeakMap<CodeEditor.IEditor, string>();
  private readonly _dismissed = new WeakMap<CodeEditor.IEditor, Suggestion>();
  private readonly _watched = new WeakSet<CodeEditor.IEditor>();
  /** the last call that the server could not answer */
  private _pending: ICall | null = null;
  /** the trigger of the call that the provider causes itself */
  private _triggered: Trigger | null = null;
  private readonly _prefetching = new Set<AbortController>();
  private _warmUp: ReturnType<typeof setTimeout> | undefined;
}
