/** Keyboard shortcuts that take precedence over those of CodeMirror. */

import { CommandRegistry } from '@lumino/commands';
import { CommandIDs } from './commands';
import type { ICompletionParts } from './components';

/** Handle the shortcuts that CodeMirror has, too: Ctrl → and Alt → (cursor), Ctrl Alt \ (indent), and Tab. */
export function addKeys(
  commands: CommandRegistry,
  { acceptor, alternatives, completers, provider }: ICompletionParts
): void {
  const { acceptWord, acceptLine, toggle, stop } = CommandIDs;
  claimKeys(commands, [acceptWord, acceptLine], target => acceptor.canTakeIn(target));
  claimKeys(commands, [toggle, stop], target => target.closest('.jp-CodeMirrorEditor') !== null);
  const remove = () => {
    alternatives.cancel();
    completers.active?.model?.reset();
  };
  watchKeys(remove, () => {
    provider.cancel();
    remove();
  });
}

/**
 * Call `removed` before JupyterLab handles Tab with a modifier: it accepts ghost text on Tab whatever else is pressed.
 * Without ghost text, Shift Tab indents less or opens the tooltip. Call `ended` when a key ends the insert mode of
 * jupyterlab-vim, which passes the key to nothing else.
 */
function watchKeys(removed: () => void, ended: () => void): void {
  // JupyterLab listens to the document in the same phase, which comes after the window.
  window.addEventListener(
    'keydown',
    ({ key, shiftKey, ctrlKey, altKey, metaKey, target }) => {
      const isEscape = key === 'Escape' || (ctrlKey && key === '[');
      if (key === 'Tab' && (shiftKey || ctrlKey || altKey || metaKey)) {
        removed();
      } else if (
        isEscape &&
        target instanceof Element &&
        target.closest('[data-jp-vim-mode-name="insert"]')
      ) {
        ended();
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
