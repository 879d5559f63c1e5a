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
import { UUID } from '@lumino/coreutils';
import { type ISignal, Signal } from '@lumino/signaling';
import { Ahead } from './ahead';
import { type Availability, type IChange, servesAnother } from './availability';
import { SuggestionCache } from './cache';
import type { ICompletionClient } from './client';
import { type Decline, declineOf } from './decline';
import { Dismissal, editedAtCursor, type IPlace, Suggestion } from './suggestion';
import { type IContext, placeIn, readDocument } from './document';
import { deferWhileComposing, follow, hasSelectedText, isAt, placeOf } from './editor';
import { type IActivity, InFlight, Run } from './inflight';
import { type IInsertion, insertInto } from './imports';
import { Outcomes } from './outcomes';
import type { IPage } from './page';
import { RequestBuilder } from './request';
import { SelfTrigger } from './selftrigger';
import { DEFAULTS, type ISettings } from './settings';
import type { IRequest } from './wire';

export const NOTHING: IInlineCompletionList = { items: [] };
/** After so many failures in a row a request is not repeated by itself: the next key asks. */
const REPEATED = 5;

/** A complete suggestion that is shown, and the import lines that come with it. */
export interface ICompleted {
  text: string;
  imports: readonly string[];
}

/** Where an answer was wanted while the server could not be asked. */
interface IPending {
  editor: CodeEditor.IEditor;
  place: IPlace;
  invoked: boolean;
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
    client: ICompletionClient,
    private readonly _availability: Availability,
    private readonly _page: IPage
  ) {
    this._ahead = new Ahead(client);
    this._outcomes = new Outcomes(client);
    this._requests = new RequestBuilder((path, language) => _page.otherDocuments(path, language));
    this._inFlight = new InFlight(
      client,
      _availability,
      this._outcomes,
      (run, body) => this._finished(run, body),
      ({ editor, invoked }) => (this._pending = { editor, place: placeOf(editor), invoked })
    );
    this._selfTrigger = new SelfTrigger(() => _page.invoke());
    _availability.changed.connect((_, change) => this._healthChanged(change));
  }

  settings: ISettings = DEFAULTS;

  /** Paths the person wants no suggestions in for now. */
  readonly snoozed = new Set<string>();

  /** Whether the person asked for what was fetched last. */
  invoked = false;

  get activity(): ISignal<InFlight, IActivity> {
    return this._inFlight.activity;
  }

  /** Each suggestion that is shown, once its text is complete. */
  readonly completed = new Signal<this, ICompleted>(this);

  /** Somebody asked, and nothing is shown. */
  readonly declined = new Signal<this, Decline>(this);

  async fetch(request: CompletionHandler.IRequest, context: IContext): Promise<IInlineCompletionList> {
    const { editor } = context;
    if (!editor) {
      return NOTHING;
    }
    this.watch(editor);
    const place = placeIn(request);
    const selfTriggered = this._selfTrigger.take();
    const invoked = context.triggerKind === InlineCompletionTriggerKind.Invoke && !selfTriggered;
    this.invoked = invoked;
    if (invoked || !this._dismissed.get(editor)?.holds(place)) {
      this._dismissed.delete(editor);
    }
    const before = this._seen.get(editor);
    this._seen.set(editor, place.text);

    const run = this._inFlight.latest;
    // Who asks wants more than what a key asked for.
    if (run?.editor === editor && !(invoked && (run.suggestion.done || !run.invoked))) {
      const { suggestion } = run;
      // A timer may ask behind a person at the same place: that is no reason to end what they asked for.
      const repeated = !suggestion.done && suggestion.isFor(place);
      // What the person asked for goes on behind the part that they have taken.
      const goesOn = !invoked && run.invoked && !suggestion.done && suggestion.isUsedUpAt(place);
      // Otherwise there is nothing to wait for: the newer text asks for itself.
      if (suggestion.rest(place) || repeated || goesOn) {
        this.invoked ||= repeated && run.invoked;
        const answer = await this._answer(run);
        const nothingMore = this._inFlight.latest === run && this._availability.open && isAt(editor, place);
        if (answer.items.length > 0 || repeated || !nothingMore) {
          return answer;
        }
      }
    }
    if (!invoked && before !== undefined && !editedAtCursor(before, place)) {
      // Somebody else's edit: what stands there in grey was meant for another text.
      this._inFlight.withdraw();
      this._page.dismiss();
      return NOTHING;
    }
    // Who asks once more at the same place sees what did not go on with what is shown.
    const wantsAnother = run?.suggestion.hasDropped && run.suggestion.isFor(place);
    const shown = invoked && run?.editor === editor && run.shown && !wantsAnother ? run : null;
    if (!shown) {
      this._inFlight.leave(editor);
    }
    const answer = await this._fetch(request, context, editor, place, invoked, shown);
    if (shown && this._inFlight.latest === shown && typeof answer === 'string') {
      if (answer === 'unavailable') {
        this.decline(answer);
        return this._answer(shown);
      }
      this._inFlight.leave(editor);
    }
    if (!this._inFlight.latest) {
      this._inFlight.closeOlder();
    }
    if (invoked && typeof answer === 'string') {
      this.decline(answer);
    }
    return typeof answer === 'string' ? NOTHING : answer;
  }

  private async _fetch(
    request: CompletionHandler.IRequest,
    context: IContext,
    editor: CodeEditor.IEditor,
    place: IPlace,
    invoked: boolean,
    shown: Run | null
  ): Promise<IInlineCompletionList | Decline> {
    const document = readDocument(context, place.text, request.mimeType ?? 'text/plain');
    const decline = declineOf(editor, document, this.settings, this.snoozed);
    if (decline) {
      return decline;
    }
    if (!invoked && (this.settings.mode === 'on demand' || !editor.hasFocus())) {
      return NOTHING;
    }
    if (deferWhileComposing(editor, () => this._selfTrigger.askSoon(editor))) {
      return NOTHING;
    }
    if (!this._availability.open) {
      this._pending = { editor, place, invoked };
      if (!invoked) {
        return 'unavailable';
      }
      await this._availability.check();
      if (!this._availability.open) {
        return 'unavailable';
      }
      if (this._inFlight.latest !== shown || !isAt(editor, place)) {
        return NOTHING;
      }
    }
    if (shown) {
      this._inFlight.leave(editor);
    }
    this._pending = null;
    const body = this._requests.build(document, context, place, this.settings, invoked);
    const run =
      this._recall(editor, place, body, invoked) ?? this._start(editor, place, body, invoked, shown);
    const answer = await this._answer(run);
    const nothing = answer.items.length === 0 && this._inFlight.latest === run && isAt(editor, place);
    return nothing ? (this._availability.open ? 'nothing' : 'unavailable') : answer;
  }

  async *stream(token: string): AsyncGenerator<{ response: IInlineCompletionItem }> {
    const run = this._inFlight.latest;
    if (run?.suggestion.id !== token) {
      return;
    }
    let last = run.item?.insertText ?? '';
    for (;;) {
      const done = run.suggestion.done;
      const { rest } = run;
      if (rest === null || run.abort.signal.aborted) {
        return;
      }
      if (rest && rest !== last) {
        last = rest;
        if (run.item) {
          // What the completer noted while the text was shorter would hide the longer one.
          run.item.filterText = undefined;
          run.item.imports = run.suggestion.imports;
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
    const run = this._inFlight.latest;
    await run?.settled;
    return run?.suggestion ?? null;
  }

  /** Build what further alternatives are asked with. */
  alternativesBody(request: CompletionHandler.IRequest, context: IContext): IRequest {
    const place = placeIn(request);
    const document = readDocument(context, place.text, request.mimeType ?? 'text/plain');
    const body = this._requests.build(document, context, place, this.settings, true);
    return this._requests.forAlternatives(body, this.settings.alternatives);
  }

  /** Let the server read what stands around the cursor of an editor that got the focus. */
  warm(editor = this._page.editor): void {
    // While the application starts, an editor has the focus before its document is the current one.
    const { widget } = this._page;
    if (!editor || !widget || !this.settings.ahead || !this._availability.open || this._inFlight.latest) {
      return;
    }
    this._ahead.warm(() => {
      if (editor.isDisposed || widget.isDisposed || !editor.hasFocus()) {
        return null;
      }
      const place = placeOf(editor);
      const context = { widget, editor, triggerKind: InlineCompletionTriggerKind.Automatic };
      const document = readDocument(context, place.text, editor.model.mimeType);
      return declineOf(editor, document, this.settings, this.snoozed)
        ? null
        : this._requests.build(document, context, place, this.settings, false);
    });
  }

  /** Stop what is under way and forget it. */
  cancel(): void {
    this._inFlight.cancel();
  }

  /** The person does not want the text that the page shows: it does not come back at the next key. */
  dismiss(text: string): void {
    const run = this._inFlight.latest;
    if (run?.shown && text) {
      this._dismissed.set(run.editor, new Dismissal(text, placeOf(run.editor)));
    }
    this.cancel();
  }

  /**
   * The person takes this much of what is shown, and import lines are put in with it; call what is returned once it
   * stands before the cursor.
   */
  accepted(text: string, imports: IInsertion | null): () => void {
    const run = this._inFlight.latest;
    const stands = run ? this._outcomes.accepted(run, text) : () => undefined;
    if (run?.suggestion.done) {
      run.announced = false; // its rest is the next suggestion
    }
    if (run && imports) {
      // What is left of it goes on below them, and the next edit is not taken for somebody else's.
      run.suggestion.moveBehind(imports);
      const seen = this._seen.get(run.editor);
      if (seen !== undefined) {
        this._seen.set(run.editor, insertInto(seen, imports));
      }
    }
    return stands;
  }

  /** Tell somebody who asked why nothing is shown. */
  decline(why: Decline): void {
    this.declined.emit(why);
  }

  /** Another document has the focus now. */
  documentChanged(): void {
    this._requests.documentChanged();
    this.warm();
  }

  /** What was suggested may no longer be right: a cell has run. */
  forget(): void {
    this._cache.clear();
  }

  /** The page is being closed: nothing more becomes of suggestions. */
  settle(): void {
    this._outcomes.settle();
  }

  /** Follow an editor: a moved cursor ends a request, a new line begins one. */
  watch(editor: CodeEditor.IEditor): void {
    if (this._watched.has(editor)) {
      return;
    }
    this._watched.add(editor);
    this._outcomes.watch(editor);
    follow(
      editor,
      () => {
        if (!editor.isDisposed && hasSelectedText(editor)) {
          // JupyterLab calls no provider for the edit that replaces the selection, so the next text is compared with none.
          this._seen.delete(editor);
        }
        const run = this._inFlight.latest;
        if (run?.editor === editor && run.rest === null) {
          this.cancel();
        }
      },
      () => {
        if (this.settings.mode === 'automatic') {
          // JupyterLab asks for nothing on a line that holds only white space.
          this._selfTrigger.askSoon(editor, { delay: this.settings.delay, blank: true });
        }
      }
    );
  }

  private _healthChanged(change: IChange): void {
    const { before, now } = change;
    if (servesAnother(change)) {
      this.forget();
    }
    if (before.open && !now.open) {
      this._inFlight.stall();
    } else if (!before.open && now.open) {
      if (!before.health?.ready) {
        this.warm();
      }
      if (now.failures <= REPEATED) {
        this._retry();
      }
    }
  }

  /** The server can be asked again: ask for the place that is still without an answer. */
  private _retry(): void {
    const pending = this._pending;
    this._pending = null;
    if (pending && isAt(pending.editor, pending.place)) {
      this._selfTrigger.askSoon(pending.editor, { invoked: pending.invoked });
    }
  }

  /** Go on with a suggestion that was made here before; a person who asks gets a new one. */
  private _recall(editor: CodeEditor.IEditor, place: IPlace, body: IRequest, invoked: boolean): Run | null {
    const cached = invoked ? null : this._cache.recall(body, place);
    if (!cached) {
      return null;
    }
    this._inFlight.closeOlder();
    return this._begin(new Run(editor, place, cached.suggestion, invoked, cached.id));
  }

  /** Ask for a suggestion; one that is shown there stays, and what comes may only continue it. */
  private _start(
    editor: CodeEditor.IEditor,
    place: IPlace,
    body: IRequest,
    invoked: boolean,
    shown: Run | null
  ): Run {
    const run = this._begin(new Run(editor, place, new Suggestion(UUID.uuid4(), place), invoked));
    const rest = shown?.suggestion.rest(place);
    if (shown && rest) {
      run.suggestion.grow(rest, shown.suggestion.imports);
      run.id = shown.id;
      run.shown = true;
    }
    this._inFlight.send(run, body, invoked ? 0 : this.settings.delay);
    return run;
  }

  private _begin(run: Run): Run {
    this._inFlight.latest = run;
    this._ahead.yield();
    return run;
  }

  /** The server has answered the latest request. */
  private _finished({ suggestion, id, passing, invoked }: Run, body: IRequest): void {
    if (suggestion.text) {
      // Only keys are answered from the cache, and what they ask is another question.
      if (!passing && !invoked) {
        this._cache.remember(body, { suggestion, id });
      }
      if (this.settings.ahead) {
        this._ahead.follow(body, suggestion);
      }
    }
  }

  /** Wait until there is something to show of a run, or nothing will come. */
  private async _answer(run: Run): Promise<IInlineCompletionList> {
    for (;;) {
      const done = run.suggestion.done;
      const { rest } = run;
      // An answer that comes after the cursor has moved is nobody's.
      if (rest === null || this._inFlight.latest !== run || !run.editor.hasFocus()) {
        return NOTHING;
      }
      if (rest && !this._dismissed.get(run.editor)?.hides(rest, placeOf(run.editor))) {
        run.item = {
          insertText: rest,
          isIncomplete: !run.suggestion.done,
          token: run.suggestion.id,
          imports: run.suggestion.imports,
          from: run.suggestion.from
        };
        if (!run.shown) {
          this._outcomes.shown(run);
        }
        void this._announce(run);
        return { items: [run.item] };
      }
      if (done) {
        return NOTHING;
      }
      await run.suggestion.changed();
    }
  }

  /** Emit the complete text of a run, once, unless another run replaces it before. */
  private async _announce(run: Run): Promise<void> {
    if (run.announced) {
      return;
    }
    run.announced = true;
    while (!run.suggestion.done) {
      await run.suggestion.changed();
    }
    const { rest } = run;
    if (rest && this._inFlight.latest === run && run.editor.hasFocus()) {
      this.completed.emit({ text: rest, imports: run.suggestion.imports });
    }
  }

  private readonly _ahead: Ahead;
  private readonly _outcomes: Outcomes;
  private readonly _requests: RequestBuilder;
  private readonly _inFlight: InFlight;
  private readonly _selfTrigger: SelfTrigger;
  private readonly _cache = new SuggestionCache();
  private readonly _seen = new WeakMap<CodeEditor.IEditor, string>();
  private readonly _dismissed = new WeakMap<CodeEditor.IEditor, Dismissal>();
  private readonly _watched = new WeakSet<CodeEditor.IEditor>();
  private _pending: IPending | null = null;
}
