/** What becomes of the suggestions that are shown, told in numbers: no text is sent. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { ICompletionClient } from './client';
import { placeOf } from './editor';
import type { Run } from './inflight';
import { type IStep, Kept } from './kept';
import type { IFeedback } from './wire';

/** Milliseconds of typing after which it is told what is left of what was taken. */
export const TYPING = 30000;
/** A longer pause than this between two changes is no typing. */
export const PAUSE = 5000;
/** Texts that are followed at a time. */
const MOST = 64;

type IModel = CodeEditor.IEditor['model']['sharedModel'];

interface ITaken {
  id: string;
  at: number;
  /** How much was typed when it was taken. */
  typed: number;
  /** How much of the suggestion stood there before that. */
  before: number;
  kept: Kept;
  end: () => void;
}

export class Outcomes {
  constructor(
    private readonly _client: Pick<ICompletionClient, 'feedback'>,
    private readonly _now: () => number = () => performance.now()
  ) {}

  /** Know when somebody types in an editor. */
  watch(editor: CodeEditor.IEditor): void {
    editor.model.sharedModel.changed.connect(() => this._tick());
  }

  /** A suggestion is shown. */
  shown(run: Run): void {
    run.shown = true;
    if (!this._since.has(run)) {
      this._since.set(run, this._now());
    }
    this._name(run);
  }

  /** Part or all of what is left of it is taken; call what is returned once that stands before the cursor. */
  accepted(run: Run, text: string): () => void {
    run.shown = false;
    const { rest } = run;
    // Another one may have been taken in its place.
    const stands = rest?.startsWith(text) ? run.suggestion.text.length - (rest.length - text.length) : 0;
    this._tell(run, 'taken', stands);
    return () => this._follow(run, text, Math.max(0, stands - text.length));
  }

  /** A suggestion that was shown is given up. `goesOn`: for one that may be the same. */
  left(run: Run, goesOn: boolean): void {
    if (!run.shown) {
      return;
    }
    const typed = run.editor.isDisposed ? null : run.suggestion.typedAt(placeOf(run.editor));
    const whole = typed?.same === run.suggestion.text.length;
    if (typed && (whole || typed.length > typed.same)) {
      this._tell(run, 'typed_over', typed.same);
    } else if (!goesOn) {
      this._tell(run, 'dismissed', typed?.same ?? 0);
    }
  }

  dispose(): void {
    this._taken.forEach(({ end }) => end());
    this._taken = [];
  }

  /** Follow what was taken while the person types on. */
  private _follow(run: Run, text: string, before: number): void {
    const { id, editor } = run;
    const { text: source, offset } = placeOf(editor);
    const from = offset - text.length;
    if (!id || source.slice(from, offset) !== text) {
      return;
    }
    const kept = new Kept(from, offset);
    const model = editor.model.sharedModel;
    const change = (_: IModel, { sourceChange }: { sourceChange?: IStep[] }): void =>
      kept.change(sourceChange ?? []);
    model.changed.connect(change);
    const end = (): void => void model.changed.disconnect(change);
    // Of one that is taken piece by piece, the last piece tells.
    this._end(({ id: other }) => other === id);
    this._taken.push({ id, at: this._now(), typed: this._typed, before, kept, end });
    if (this._taken.length > MOST) {
      this._taken.shift()?.end();
    }
  }

  /** Something was typed. */
  private _tick(): void {
    const now = this._now();
    this._typed += Math.min(PAUSE, now - this._last);
    this._last = now;
    const isDue = ({ typed }: ITaken): boolean => this._typed - typed >= TYPING;
    // Those who follow the same change may hear of it after this.
    if (this._taken.some(isDue)) {
      queueMicrotask(() => {
        for (const { id, at, before, kept } of this._end(isDue)) {
          this._client.feedback(id, 'retained', before + kept.length, Math.round((now - at) / 1000));
        }
      });
    }
  }

  private _end(which: (taken: ITaken) => boolean): ITaken[] {
    const ended = this._taken.filter(which);
    this._taken = this._taken.filter(taken => !which(taken));
    ended.forEach(({ end }) => end());
    return ended;
  }

  private _tell(run: Run, event: IFeedback['event'], chars: number): void {
    if (this._name(run)) {
      const since = this._since.get(run) ?? this._now();
      this._client.feedback(run.id, event, chars, Math.round((this._now() - since) / 100) / 10);
    }
  }

  /** Say once that it is shown, as soon as the server has named it; tell whether it has a name. */
  private _name(run: Run): boolean {
    if (run.id && this._named.get(run) !== run.id) {
      this._named.set(run, run.id);
      this._client.feedback(run.id, 'shown', run.suggestion.text.length, 0);
    }
    return run.id !== '';
  }

  private readonly _since = new WeakMap<Run, number>();
  /** Under which name it was said that they are shown. */
  private readonly _named = new WeakMap<Run, string>();
  private _taken: ITaken[] = [];
  private _typed = 0;
  private _last = 0;
}
