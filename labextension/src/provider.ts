/**
 * The inline completion provider: no request while the person types into the grey text. A newer one does not close
 * the older: the server goes on with what it is writing where that agrees with the newer text.
 */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import {
  type CompletionHandler,
  type IInlineCompletionItem,
  type IInlineCompletionList,
  type IInlineCompletionProvider,
  InlineCompletionTriggerKind
} from '@jupyterlab/completer';
import { Text } from '@jupyterlab/coreutils';
import { UUID } from '@lumino/coreutils';
import { type ISignal, Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import { Ahead } from './ahead';
import type { Availability } from './availability';
import type { Client } from './client';
import type { IRequest } from './wire';
import { type IContext, type IDocument, readDocument } from './document';
import type { IOtherDocument } from './wire';
import { isPrivatePath } from './language';
import { type ICached, SuggestionCache } from './cache';
import { DEFAULTS, type ISettings } from './settings';
import { editedAtCursor, type IPlace, Suggestion } from './suggestion';
import { chooseWindow } from './window';

const NOTHING: IInlineCompletionList = { items: [] };
/** How often a request is sent again that an older one ended. */
const TRIES = 4;
const TRAILING_BLANK_LINE = /\n[ \t]*$/;

/** How the provider is doing, for the status bar. */
export interface IActivity {
  thinking: boolean;
  lastMs: number | null;
}

/** Why nothing was shown to somebody who asked. */
export type Decline =
  | 'off'
  | 'snoozed'
  | 'language'
  | 'private'
  | 'read-only'
  | 'cursors'
  | 'selection'
  | 'unavailable'
  | 'nowhere'
  | 'nothing';

interface IView {
  composing: boolean;
  dom: HTMLElement;
}

/** Something asked of the server, and where. */
interface IRun {
  suggestion: Suggestion;
  /** Whether the person asked for it, rather than a key or a timer. */
  asked: boolean;
  abort: AbortController;
  editor: CodeEditor.IEditor;
  place: IPlace;
  item: IInlineCompletionItem | null;
  id: string;
  sent: boolean;
  shown: boolean;
  settled: Promise<void>;
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
    private readonly _client: Client,
    private readonly _availability: Availability,
    private readonly _invoke: () => void,
    private readonly _dismiss: () => void,
    private readonly _open: (path: string, language: string) => IOtherDocument[]
  ) {
    this._ahead = new Ahead(_client);
  }

  settings: ISettings = DEFAULTS;

  /** Paths the person wants no suggestions in for now. */
  readonly snoozed = new Set<string>();

  /** Whether the person asked for what was fetched last. */
  asked = false;

  get activity(): ISignal<this, IActivity> {
    return this._activity;
  }

  /** Suggestions as they are shown for the first time. */
  get appeared(): ISignal<this, string> {
    return this._appeared;
  }

  /** Somebody asked, and nothing is shown. */
  get declined(): ISignal<this, Decline> {
    return this._declined;
  }

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    const { editor } = context;
    if (!editor) {
      return NOTHING;
    }
    this.watch(editor);
    const place: IPlace = {
      text: request.text,
      offset: Text.charIndexToJsIndex(request.offset, request.text)
    };
    const asked = context.triggerKind === InlineCompletionTriggerKind.Invoke && !this._selfTriggered;
    this._selfTriggered = false;
    this.asked = asked;
    const before = this._seen.get(editor);
    this._seen.set(editor, place.text);

    const run = this._run;
    if (run?.editor === editor && !(asked && run.suggestion.done)) {
      const { suggestion } = run;
      const rest = suggestion.rest(place);
      // A timer may ask behind a person at the same place: that is no reason to end what they asked for.
      const again = !suggestion.done && suggestion.isFor(place) && (run.asked || !asked);
      // Otherwise there is nothing to wait for: the newer text asks for itself.
      if (rest || again) {
        this.asked ||= again && run.asked;
        const found = await this._answer(run);
        if (found.items.length > 0 || again || !isAt(editor, place)) {
          return found;
        }
      }
    }
    if (!asked && before !== undefined && !editedAtCursor(before, place)) {
      // Somebody else's edit: what stands there in grey was meant for another text.
      this.cancel();
      this._dismiss();
      return NOTHING;
    }
    this._leave(editor);
    const found = await this._fetch(request, context, editor, place, asked);
    if (!this._run) {
      this._close();
    }
    if (asked && typeof found === 'string') {
      this._declined.emit(found);
    }
    return typeof found === 'string' ? NOTHING : found;
  }

  private async _fetch(
    request: CompletionHandler.IRequest,
    context: IContext,
    editor: CodeEditor.IEditor,
    place: IPlace,
    asked: boolean
  ): Promise<IInlineCompletionList | Decline> {
    const document = readDocument(context, place.text, request.mimeType ?? 'text/plain');
    const decline = this._refusal(editor, document);
    if (decline) {
      return decline;
    }
    if (!asked && (this.settings.mode === 'on demand' || !editor.hasFocus())) {
      return NOTHING;
    }
    const view = viewOf(editor);
    if (view?.composing) {
      view.dom.addEventListener('compositionend', () => this._invokeSoon(editor), {
        once: true
      });
      return NOTHING;
    }
    if (!this._availability.open) {
      this._owed = { editor, place, asked };
      if (!asked) {
        return 'unavailable';
      }
      await this._availability.look();
      if (!this._availability.open) {
        return 'unavailable';
      }
      if (this._run || !isAt(editor, place)) {
        return NOTHING;
      }
    }
    this._owed = null;
    const body = this._body(document, context, place, asked);
    const known = asked ? null : this._cache.recall(body, place);
    if (known) {
      this._close();
    }
    const run = known ? this._resume(editor, place, known, asked) : this._start(editor, place, body, asked);
    const found = await this._answer(run);
    const nothing = found.items.length === 0 && this._run === run && isAt(editor, place);
    return nothing ? (this._availability.open ? 'nothing' : 'unavailable') : found;
  }

  async *stream(token: string): AsyncGenerator<{ response: IInlineCompletionItem }> {
    const run = this._run;
    if (run?.suggestion.id !== token) {
      return;
    }
    let last = run.item?.insertText ?? '';
    for (;;) {
      const done = run.suggestion.done;
      const rest = this._rest(run);
      if (rest === null || run.abort.signal.aborted) {
        return;
      }
      if (rest && rest !== last) {
        last = rest;
        if (run.item) {
          // What the completer noted while the text was shorter would hide the longer one.
          run.item.filterText = undefined;
        }
        yield { response: { insertText: rest } };
      }
      if (done) {
        return;
      }
      await run.suggestion.changed();
    }
  }

  /** Wait until what was asked last is answered; return it. */
  async settled(): Promise<Suggestion | null> {
    const run = this._run;
    await run?.settled;
    return run?.suggestion ?? null;
  }

  /** Build what further alternatives are asked with. */
  alternativesBody(request: CompletionHandler.IRequest, context: IContext): IRequest {
    const place = {
      text: request.text,
      offset: Text.charIndexToJsIndex(request.offset, request.text)
    };
    const document = readDocument(context, place.text, request.mimeType ?? 'text/plain');
    return {
      ...this._body(document, context, place, true),
      stream: false,
      client: `${this._clientId}-more`,
      // The first is the one that is shown already.
      n: this.settings.alternatives + 1
    };
  }

  /** Let the server read what stands around the cursor of an editor that got the focus. */
  warm(editor: CodeEditor.IEditor, widget: Widget): void {
    if (!this.settings.ahead || !this._availability.open || this._run) {
      return;
    }
    this._ahead.warm(() => {
      if (editor.isDisposed || widget.isDisposed || !editor.hasFocus()) {
        return null;
      }
      const place = placeOf(editor);
      const context = { widget, editor, triggerKind: InlineCompletionTriggerKind.Automatic };
      const document = readDocument(context, place.text, editor.model.mimeType);
      return this._refusal(editor, document) ? null : this._body(document, context, place, false);
    });
  }

  /** The server can be asked again: ask for the place that it owes an answer. */
  again(): void {
    const owed = this._owed;
    this._owed = null;
    if (owed && isAt(owed.editor, owed.place)) {
      this._invokeSoon(owed.editor, { asked: owed.asked });
    }
  }

  /** The server has gone: what it was writing does not come. What is shown of it stays. */
  stall(): void {
    this._close();
    this._run?.abort.abort();
    this._run?.suggestion.finish();
  }

  /** Stop what is under way and forget it. */
  cancel(): void {
    this._leave(null);
    this._close();
  }

  /** Forget what is under way; in the same editor it may be gone on with for what is asked next. */
  private _leave(editor: CodeEditor.IEditor | null): void {
    const run = this._run;
    this._run = null;
    if (!run) {
      return;
    }
    const here = run.editor === editor;
    if (run.sent || !here) {
      this._close();
    }
    if (run.sent && here) {
      this._older = run;
    } else {
      run.abort.abort();
    }
    // Typed to the end of what was shown, it was right.
    const right = here && this._rest(run) !== null;
    run.suggestion.finish();
    if (run.shown && !right) {
      this._client.feedback(run.id, 'dismissed', 0);
    }
  }

  /** What comes for the request before the latest may be right for the text as it is by now. */
  private _passOn(run: IRun, text: string): void {
    if (this._older !== run || this._run?.editor !== run.editor) {
      return;
    }
    const late = new Suggestion(run.suggestion.id, run.place);
    late.grow(text);
    this._run.suggestion.grow(late.rest(this._run.place) ?? '');
  }

  /** Close the request before the latest, if the server has not ended it yet. */
  private _close(): void {
    this._older?.abort.abort();
    this._older = null;
  }

  /** The person took this much of what was shown. */
  accepted(text: string): void {
    if (this._run) {
      this._run.shown = false;
      this._client.feedback(this._run.id, 'accepted', text.length);
    }
  }

  /** Another document has the focus now: the others may have changed meanwhile. */
  documentChanged(): void {
    this._otherDocuments = null;
  }

  /** What was suggested may no longer be right: a cell has run. */
  forget(): void {
    this._cache.clear();
  }

  dispose(): void {
    this._ahead.stop();
    this.cancel();
    Signal.clearData(this);
  }

  /** Why nothing is suggested here, whoever asks. */
  private _refusal(editor: CodeEditor.IEditor, document: IDocument): Decline | null {
    if (!this.settings.enabled) {
      return 'off';
    }
    if (this.snoozed.has(document.path)) {
      return 'snoozed';
    }
    if (editor.getOption('readOnly') === true) {
      return 'read-only';
    }
    if (this.settings.disabledLanguages.includes(document.here.toLowerCase())) {
      return 'language';
    }
    if (isPrivatePath(document.path)) {
      return 'private';
    }
    return editor.getSelections().length > 1 ? 'cursors' : null;
  }

  private _body(document: IDocument, context: IContext, place: IPlace, asked: boolean): IRequest {
    const window = chooseWindow(
      document.count,
      index => document.cellAt(index),
      document.active,
      place.offset
    );
    return {
      ...window,
      extra: this.settings.otherDocuments ? this._readOthers(document) : [],
      path: document.path.slice(-4096),
      language: document.language.slice(0, 64),
      kernel_id: context.session?.kernel?.id ?? null,
      trigger: asked ? 'invoke' : 'automatic',
      lines: this.settings.lines,
      eagerness: this.settings.eagerness === 'as the server has it' ? null : this.settings.eagerness,
      stream: true,
      client: this._clientId,
      n: 1,
      max_tokens: this.settings.maxTokens || null,
      temperature: 0
    };
  }

  /** Other documents as they stood when this one was turned to: no key in it changes them. */
  private _readOthers({ path, language }: IDocument): IOtherDocument[] {
    if (this._otherDocuments?.path !== path || this._otherDocuments.language !== language) {
      this._otherDocuments = { path, language, found: this._open(path, language) };
    }
    return this._otherDocuments.found;
  }

  private _resume(
    editor: CodeEditor.IEditor,
    place: IPlace,
    { suggestion, id }: ICached,
    asked: boolean
  ): IRun {
    const run: IRun = {
      suggestion,
      asked,
      abort: new AbortController(),
      editor,
      place,
      item: null,
      id,
      sent: false,
      shown: false,
      settled: Promise.resolve()
    };
    this._run = run;
    this._ahead.yield();
    return run;
  }

  private _start(editor: CodeEditor.IEditor, place: IPlace, body: IRequest, asked: boolean): IRun {
    const suggestion = new Suggestion(UUID.uuid4(), place);
    const run = this._resume(editor, place, { suggestion, id: '' }, asked);
    run.settled = this._ask(run, body, asked ? 0 : this.settings.delay);
    return run;
  }

  private async _ask(run: IRun, body: IRequest, delay: number): Promise<void> {
    const { abort, suggestion } = run;
    const begun = Date.now();
    try {
      await sleep(delay, abort.signal);
      this._say({ thinking: true });
      this._asking = run;
      run.sent = true;
      await this._complete(run, body);
      if (this._run === run) {
        this._say({ lastMs: Date.now() - begun - delay });
      }
      this._availability.answered();
      if (suggestion.text && this._run === run) {
        this._cache.remember(body, { suggestion, id: run.id });
        if (this.settings.ahead) {
          this._ahead.follow(body, suggestion.text);
        }
      }
    } catch (reason) {
      if (this._run === run) {
        this._owed = { editor: run.editor, place: placeOf(run.editor), asked: run.asked };
      }
      if (!abort.signal.aborted) {
        this._availability.failed(reason);
      }
    } finally {
      suggestion.finish();
      if (this._older === run) {
        this._older = null;
      }
      if (this._asking === run) {
        this._asking = null;
        this._say({ thinking: false });
      }
    }
  }

  /**
   * Ask the server. The request before may reach it later, on another connection, and ends this one there: then the
   * newest is asked again.
   */
  private async _complete(run: IRun, body: IRequest): Promise<void> {
    let overtaken = true;
    for (let tries = 0; overtaken && tries < TRIES && !run.abort.signal.aborted; tries++) {
      await this._client.complete(body, run.abort.signal, frame => {
        run.id = frame.id;
        run.suggestion.grow(frame.text);
        this._passOn(run, frame.text);
        overtaken = frame.finish_reason === 'superseded' && this._run === run;
      });
    }
  }

  private async _answer(run: IRun): Promise<IInlineCompletionList> {
    for (;;) {
      const done = run.suggestion.done;
      const rest = this._rest(run);
      // An answer that comes after the cursor has moved is nobody's.
      if (rest === null || this._run !== run || !run.editor.hasFocus()) {
        return NOTHING;
      }
      if (rest) {
        run.item = {
          insertText: rest,
          isIncomplete: !run.suggestion.done,
          token: run.suggestion.id
        };
        if (!run.shown) {
          run.shown = true;
          this._appeared.emit(rest);
          this._client.feedback(run.id, 'shown', rest.length);
        }
        return { items: [run.item] };
      }
      if (done) {
        return NOTHING;
      }
      await run.suggestion.changed();
    }
  }

  private _rest(run: IRun): string | null {
    return run.editor.isDisposed ? null : run.suggestion.rest(placeOf(run.editor));
  }

  /** Follow an editor: a moved cursor ends a request, a new line begins one. */
  watch(editor: CodeEditor.IEditor): void {
    if (this._watched.has(editor)) {
      return;
    }
    this._watched.add(editor);
    editor.model.selections.changed.connect(() => {
      // The text may change together with the cursor: look when both are settled.
      setTimeout(() => {
        const run = this._run;
        if (run?.editor === editor && this._rest(run) === null) {
          this.cancel();
        }
      }, 0);
    });
    editor.model.sharedModel.changed.connect((_, change) => {
      const inserted = (change as { sourceChange?: { insert?: unknown }[] }).sourceChange;
      const newLine = inserted?.some(part => typeof part.insert === 'string' && part.insert.includes('\n'));
      if (newLine && this.settings.mode === 'automatic') {
        // JupyterLab asks for nothing on a line that holds only white space.
        this._invokeSoon(editor, { delay: this.settings.delay, blank: true });
      }
    });
  }

  /** Ask by ourselves, unless the text changes meanwhile; `blank`: only on a line that holds nothing yet. */
  private _invokeSoon(editor: CodeEditor.IEditor, { delay = 0, asked = false, blank = false } = {}): void {
    const { text } = placeOf(editor);
    setTimeout(() => {
      if (editor.isDisposed || !editor.hasFocus()) {
        return;
      }
      const place = placeOf(editor);
      const head = place.text.slice(0, place.offset);
      const wanted = !blank || (TRAILING_BLANK_LINE.test(head) && head.trim() !== '');
      if (place.text === text && wanted) {
        this._selfTriggered = !asked;
        this._invoke();
        this._selfTriggered = false;
      }
    }, delay);
  }

  private _say(change: Partial<IActivity>): void {
    this._state = { ...this._state, ...change };
    this._activity.emit(this._state);
  }

  private readonly _ahead: Ahead;
  private readonly _cache = new SuggestionCache();
  private readonly _clientId = UUID.uuid4();
  private readonly _activity = new Signal<this, IActivity>(this);
  private readonly _appeared = new Signal<this, string>(this);
  private readonly _declined = new Signal<this, Decline>(this);
  private readonly _seen = new WeakMap<CodeEditor.IEditor, string>();
  private readonly _watched = new WeakSet<CodeEditor.IEditor>();
  private _state: IActivity = { thinking: false, lastMs: null };
  private _run: IRun | null = null;
  /** What was sent to the server last, until it has ended. */
  private _asking: IRun | null = null;
  /** What was asked before that, until the server has ended it. */
  private _older: IRun | null = null;
  /** Where an answer was wanted while the server could not be asked. */
  private _owed: { editor: CodeEditor.IEditor; place: IPlace; asked: boolean } | null = null;
  private _selfTriggered = false;
  private _otherDocuments: { path: string; language: string; found: IOtherDocument[] } | null = null;
}

/** Further suggestions for who asks: a provider of its own, since one answers once. */
export class Alternatives implements IInlineCompletionProvider {
  readonly name = 'Turbopilot, alternatives';
  readonly identifier = 'jupyter-turbopilot-alternatives';
  readonly schema;

  constructor(
    private readonly _main: Provider,
    private readonly _client: Client
  ) {
    this.schema = this._main.schema;
  }

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    const { asked } = this._main;
    // The completer takes whoever answers first for the one to show.
    const main = await this._main.settled();
    if (!asked || !main?.text || this._main.settings.alternatives === 0) {
      return NOTHING;
    }
    const { editor } = context;
    const place = {
      text: request.text,
      offset: Text.charIndexToJsIndex(request.offset, request.text)
    };
    // An answer that comes after the cursor has moved, or after Escape, is nobody's.
    const wanted = () => !abort.signal.aborted && editor != null && isAt(editor, place) && editor.hasFocus();
    if (!wanted()) {
      return NOTHING;
    }
    try {
      const answer = await this._client.alternatives(
        this._main.alternativesBody(request, context),
        abort.signal
      );
      const items = answer.items
        .filter(item => item.text && item.text !== main.text)
        .map(item => ({ insertText: item.text }));
      return wanted() ? { items } : NOTHING;
    } catch {
      return NOTHING;
    }
  }

  /** Nobody wants them any longer. */
  cancel(): void {
    this._abort?.abort();
  }

  private _abort: AbortController | null = null;
}

function viewOf(editor: CodeEditor.IEditor): IView | undefined {
  return (editor as { editor?: IView }).editor;
}

function placeOf(editor: CodeEditor.IEditor): IPlace {
  return {
    text: editor.model.sharedModel.getSource(),
    offset: editor.getOffsetAt(editor.getCursorPosition())
  };
}

function isAt(editor: CodeEditor.IEditor, place: IPlace): boolean {
  if (editor.isDisposed) {
    return false;
  }
  const now = placeOf(editor);
  return now.text === place.text && now.offset === place.offset;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new Error('aborted'));
    });
  });
}
