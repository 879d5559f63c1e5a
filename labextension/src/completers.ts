/** Tracks JupyterLab's inline completers and their editors, and works around bugs of the completer. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import { type IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

/**
 * Once any provider has replied, even with an error, the completer appends further replies, and drops them if there is
 * no first one. Set such a reply as the first.
 */
function keepLateReplies(completer: InlineCompleter): void {
  const { model } = completer;
  if (model) {
    const append = model.appendCompletions.bind(model);
    model.appendCompletions = reply =>
      model.completions?.items ? append(reply) : model.setCompletions(reply);
  }
}

/**
 * The completer keeps the ghost text and its CSS class on the editor when no suggestion is left, or none that was not
 * typed in full. Shortcuts with this selector (Tab, Escape) would then have no effect.
 */
function keepMarksTrue(completer: InlineCompleter): void {
  const isEmpty = (): boolean =>
    !completer.model?.completions?.items?.some(item => item.insertText || item.isIncomplete || item.error);
  const clear = (): void => {
    if (isEmpty() && completer.isActive) {
      completer.model?.reset();
    }
  };
  const update = (): void => {
    if (isEmpty()) {
      // CodeMirror does not allow a change during an update.
      setTimeout(clear, 0);
    }
  };
  completer.model?.suggestionsChanged.connect(update);
  completer.model?.filterTextChanged.connect(update);
}

export class Completers {
  /** Track every completer that the factory creates from now on. */
  wrap(factory: IInlineCompleterFactory): void {
    const make = factory.factory.bind(factory);
    factory.factory = options => {
      const completer = make(options);
      this._completers.add(completer);
      completer.disposed.connect(() => this._completers.delete(completer));
      this._followEditor(completer);
      keepLateReplies(completer);
      keepMarksTrue(completer);
      const cycle = completer.cycle.bind(completer);
      completer.cycle = direction => {
        cycle(direction);
        this.cycled.emit(completer);
      };
      this.created.emit(completer);
      return completer;
    };
  }

  readonly created = new Signal<this, InlineCompleter>(this);

  /** Completers in which the user has switched to another suggestion. */
  readonly cycled = new Signal<this, InlineCompleter>(this);

  /** Emitted for each editor that a completer gets, so that a new cell is watched before its first keystroke. */
  readonly attached = new Signal<this, CodeEditor.IEditor>(this);

  /** The completer that shows ghost text in the focused editor. */
  get active(): InlineCompleter | undefined {
    for (const completer of this._completers) {
      const items = completer.model?.completions?.items;
      if (items?.length && completer.isActive && completer.editor?.hasFocus()) {
        return completer;
      }
    }
    return undefined;
  }

  /** Return the completer's editor inside a widget. */
  editorIn(widget: Widget | null): CodeEditor.IEditor | null {
    for (const { editor } of this._completers) {
      if (editor && !editor.isDisposed && widget?.node.contains(editor.host)) {
        return editor;
      }
    }
    return null;
  }

  /**
   * Remove the ghost text once the running code returns: JupyterLab also calls providers during an update of an editor,
   * which CodeMirror does not allow to be changed before the update ends.
   */
  dismiss(): void {
    queueMicrotask(() => {
      for (const completer of this._completers) {
        if (completer.isActive) {
          completer.model?.reset();
        }
      }
    });
  }

  private _followEditor(completer: InlineCompleter): void {
    const own = Object.getOwnPropertyDescriptor(InlineCompleter.prototype, 'editor');
    if (!own?.get || !own.set) {
      return;
    }
    // The accessors are called with the completer they belong to.
    const { get, set } = own as Required<Pick<PropertyDescriptor, 'get' | 'set'>>;
    const announce = (editor: CodeEditor.IEditor | null | undefined) => {
      if (editor) {
        this.attached.emit(editor);
      }
    };
    Object.defineProperty(completer, 'editor', {
      configurable: true,
      get: () => get.call(completer) as CodeEditor.IEditor | null,
      set: (editor: CodeEditor.IEditor | null) => {
        set.call(completer, editor);
        announce(editor);
      }
    });
    announce(completer.editor);
  }

  private readonly _completers = new Set<InlineCompleter>();
}
