/** Tracks JupyterLab's inline completers and their editors, and works around bugs of the completer. */

import type { CodeEditor } from '@jupyterlab/codeeditor';
import { type CompletionHandler, type IInlineCompleterFactory, InlineCompleter } from '@jupyterlab/completer';
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
 * The completer keeps suggestions that were typed in full. When no other is left, it also keeps the ghost text and its CSS
 * class on the editor, and shortcuts with this selector (Tab, Escape) have no effect.
 */
function removeTypedSuggestions(completer: InlineCompleter): void {
  const { model } = completer;
  const itemsOf = (): CompletionHandler.IInlineItem[] => model?.completions?.items ?? [];
  const isPending = (item: CompletionHandler.IInlineItem): boolean =>
    Boolean(item.insertText || item.isIncomplete || item.error);
  const remove = (): void => {
    const items = itemsOf();
    const pending = items.filter(isPending);
    if (pending.length === 0 && completer.isActive) {
      model?.reset();
    } else if (pending.length > 0 && pending.length < items.length) {
      model?.setCompletions({ ...model.completions, items: pending });
    }
  };
  const update = (): void => {
    if (!itemsOf().some(isPending) || !itemsOf().every(isPending)) {
      // CodeMirror does not allow a change during an update.
      setTimeout(remove, 0);
    }
  };
  model?.suggestionsChanged.connect(update);
  model?.filterTextChanged.connect(update);
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
      removeTypedSuggestions(completer);
      const emitRendered = this._followText(completer);
      const cycle = completer.cycle.bind(completer);
      completer.cycle = direction => {
        cycle(direction);
        emitRendered();
        this.cycled.emit(completer);
      };
      this.created.emit(completer);
      return completer;
    };
  }

  readonly created = new Signal<this, InlineCompleter>(this);

  /** Completers that show another text, or none. */
  readonly rendered = new Signal<this, InlineCompleter>(this);

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

  /** Return whether an open completion menu keeps JupyterLab from showing ghost text in an editor. */
  isSuppressed(editor: CodeEditor.IEditor): boolean {
    return [...this._completers].some(
      completer =>
        completer.editor === editor &&
        completer.suppressIfTabCompleterActive &&
        editor.host.classList.contains('jp-mod-completer-active')
    );
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

  /** Emit `rendered` when a completer shows another text. Return a function that emits it for another suggestion. */
  private _followText(completer: InlineCompleter): () => void {
    const emit = (): void => this.rendered.emit(completer);
    const update = (): void => {
      completer.current?.stream.connect(emit);
      emit();
    };
    completer.model?.suggestionsChanged.connect(update);
    completer.model?.filterTextChanged.connect(update);
    return update;
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
