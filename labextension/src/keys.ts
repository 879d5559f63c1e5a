/** Keyboard shortcuts that take precedence over those of CodeMirror. */

import { CommandRegistry } from '@lumino/commands';
import { CommandIDs } from './commands';
import type { ICompletionParts } from './components';

/** Handle the shortcuts that CodeMirror and JupyterLab have, too. */
export function addKeys(
  commands: CommandRegistry,
  { acceptor, alternatives, completers, provider }: ICompletionParts
): void {
  // CodeMirror binds Ctrl → and Alt → (cursor) and Ctrl Alt \ (indent).
  const { acceptWord, acceptLine, toggle, stop } = CommandIDs;
  claimKeys(commands, [acceptWord, acceptLine], target => acceptor.canTakeIn(target));
  claimKeys(commands, [toggle, stop], target => target.closest('.jp-CodeMirrorEditor') !== null);
  const remove = (): void => {
    alternatives.cancel();
    completers.active?.model?.reset();
  };
  // JupyterLab listens to the document in the same phase, which comes after the window.
  window.addEventListener(
    'keydown',
    ({ key, shiftKey, ctrlKey, altKey, metaKey, target }) => {
      const isEscape = key === 'Escape' || (ctrlKey && key === '[');
      if (key === 'Tab' && (shiftKey || ctrlKey || altKey || metaKey)) {
        // JupyterLab accepts ghost text on Tab whatever else is pressed. Without it, Shift Tab indents less or opens the
        // tooltip.
        remove();
      } else if (
        isEscape &&
        target instanceof Element &&
        target.closest('[data-jp-vim-mode-name="insert"]')
      ) {
        // jupyterlab-vim ends its insert mode, and passes the key to nothing else.
        provider.cancel();
        remove();
      }
    },
    true
  );
}

/** Return the shortcut of a command, for display; empty if it has none. */
export function shortcutOf({ keyBindings }: CommandRegistry, id: string): string {
  const binding = keyBindings.find(({ command }) => command === id);
  return binding ? CommandRegistry.formatKeystroke(binding.keys) : '';
}

/** Handle the shortcuts of some commands before CodeMirror does, in elements for which `wanted` returns true. */
function claimKeys(
  commands: CommandRegistry,
  owned: readonly string[],
  wanted: (target: Element) => boolean
): void {
  document.addEventListener(
    'keydown',
    event => {
      if (!(event.target instanceof Element) || !wanted(event.target)) {
        return;
      }
      const stroke = CommandRegistry.keystrokeForKeydownEvent(event);
      const ours = commands.keyBindings.some(
        ({ command, keys }) => owned.includes(command) && keys.length === 1 && keys[0] === stroke
      );
      if (ours) {
        commands.processKeydownEvent(event);
      }
    },
    true
  );
}
