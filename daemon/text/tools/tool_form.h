/* How a model writes tool calls: tool_calls.h shows the forms. */
#ifndef FG_TOOL_FORM_H
#define FG_TOOL_FORM_H

enum fg_tool_form { FG_TOOLS_NONE, FG_TOOLS_MINIMAX, FG_TOOLS_HERMES };

#endif
