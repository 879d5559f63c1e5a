/** The contrast of text with its background, as defined by WCAG, in each theme. */

import { screenshot } from './lab.mjs';

/** Switch to each theme in turn, the light one last; take a screenshot, and call `check` with the theme's name. */
export async function inEveryTheme(page, picture, check) {
  for (const theme of ['JupyterLab Dark', 'JupyterLab Dark High Contrast', 'JupyterLab Light']) {
    await page.evaluate(
      theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme }),
      theme
    );
    await page.waitForSelector(`body[data-jp-theme-name="${theme}"]`, { state: 'attached' });
    await page.waitForTimeout(700);
    await screenshot(page, `${picture}-${theme.replaceAll(' ', '-').toLowerCase()}`);
    await check(theme);
  }
}

/** The contrast of the text of an element or a pseudo-element with its background, from 1 to 21. */
export function contrastOf(locator, pseudo = null) {
  return locator.evaluate((element, pseudo) => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext(
      '2d',
      {
        willReadFrequently: true
      }
    );
    const paint = (color, opacity) => {
      context.globalAlpha = opacity;
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    };
    const luminance = () => {
      const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map(value =>
        value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4
      );
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const line = [];
    for (let one = element; one; one = one.parentElement) {
      line.push(window.getComputedStyle(one));
    }
    line.reverse().forEach(style => paint(style.backgroundColor, 1));
    const behind = luminance();
    const styles = pseudo ? [...line, window.getComputedStyle(element, pseudo)] : line;
    paint(
      styles.at(-1).color,
      styles.reduce((opacity, style) => opacity * Number(style.opacity), 1)
    );
    const [dark, light] = [behind, luminance()].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }, pseudo);
}
