/* fulgur-bench cache-policy. */
#ifndef FG_POLICY_COMMAND_H
#define FG_POLICY_COMMAND_H

/* argv[0] is "cache-policy". The exit status: 0; 1 after a failure; 2 for a wrong call, which one
 * line on stderr explains. */
int policy_command(int argc, char **argv);

#endif
